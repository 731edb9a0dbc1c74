"""``/api/``: Ollama's requests, which managers of photos and documents send."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from dvl2_cli import __version__
from dvl2_cli.engine.events import Event
from dvl2_cli.server.http.body import read_json
from dvl2_cli.server.http.ndjson import JsonLines
from dvl2_cli.server.http.ollama_answer import (
    OllamaAnswer,
    OllamaChatAnswer,
    OllamaGenerateAnswer,
)
from dvl2_cli.server.http.ollama_body import OllamaChatBody, OllamaGenerateBody
from dvl2_cli.server.http.ollama_request import OllamaJob
from dvl2_cli.server.http.service import service_of
from dvl2_cli.server.http.when import utc_text
from dvl2_cli.server.http.work import Work


async def version(request: HttpRequest) -> Response:
    """The version of dvl2."""
    del request
    return JSONResponse({"version": __version__})


async def tags(request: HttpRequest) -> Response:
    """The one model, in a list; since when is since when the server runs."""
    service = service_of(request)
    name = f"{service.model_name}:latest"
    entry = {
        "name": name,
        "model": name,
        "modified_at": utc_text(service.started),
        "details": {"format": "safetensors", "quantization_level": service.info.quant},
    }
    return JSONResponse({"models": [entry]})


async def chat(request: HttpRequest) -> Response:
    """Answer a conversation."""
    job = OllamaJob.of(service_of(request), await read_json(request, OllamaChatBody))
    return await _answered(request, job, OllamaChatAnswer(job))


async def generate(request: HttpRequest) -> Response:
    """Answer a question."""
    job = OllamaJob.of(service_of(request), await read_json(request, OllamaGenerateBody))
    return await _answered(request, job, OllamaGenerateAnswer(job))


async def _answered(request: HttpRequest, job: OllamaJob, answer: OllamaAnswer) -> Response:
    if not job.body.messages:
        return JSONResponse(answer.loaded())
    work = Work(job.service, job.events)
    if job.body.stream is False:  # Ollama streams unless told otherwise
        await work.each(request, answer.take)
        return JSONResponse(answer.whole())
    # What is wrong with the question shows before its first line: it has its own status.
    first = await work.first(request)
    seconds = job.service.options.limits.silent_seconds
    return JsonLines(seconds, request.url.path, _rows(work.rest(first), answer))


async def _rows(
    events: AsyncGenerator[Event], answer: OllamaAnswer
) -> AsyncGenerator[dict[str, Any]]:
    async with aclosing(events):
        async for event in events:
            for row in answer.chunks(event):
                yield row
