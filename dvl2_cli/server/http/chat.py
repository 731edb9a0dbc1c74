"""``/v1/chat/completions``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from dvl2_cli.server.http.body import read_json
from dvl2_cli.server.http.chat_answer import ChatAnswer
from dvl2_cli.server.http.chat_body import ChatBody
from dvl2_cli.server.http.chat_request import ChatJob, Piece
from dvl2_cli.server.http.refusals import refusal_of
from dvl2_cli.server.http.service import Service, service_of
from dvl2_cli.server.http.work import Work


async def chat_completions(request: HttpRequest) -> Response:
    """Answer a conversation, whole or as a stream of events."""
    service = service_of(request)
    job = ChatJob.of(service, await read_json(request, ChatBody))
    answer = ChatAnswer(job)
    work = Work(service, job.pieces)
    if job.body.stream:
        # What is wrong with the question shows before its first event: it has its own status.
        first = await work.first(request)
        return events_response(service, _events(work.rest(first), answer, job))
    await work.each(request, answer.take)
    return JSONResponse(answer.whole())


def events_response(service: Service, events: AsyncIterator[dict[str, str]]) -> Response:
    """Server-sent events; a client that stops reading is dropped."""
    limits = service.options.limits
    return EventSourceResponse(
        events,
        sep="\n",
        send_timeout=limits.silent_seconds,
        shutdown_grace_period=limits.drain_seconds,
    )


async def _events(
    pieces: AsyncIterator[Piece], answer: ChatAnswer, job: ChatJob
) -> AsyncIterator[dict[str, str]]:
    try:
        async for piece in pieces:
            for chunk in answer.chunks(piece):
                yield _event(chunk)
        if job.body.wants_usage:
            yield _event(answer.last_chunk())
    except Exception as error:  # the status is sent already: the stream has to say it
        yield _event(refusal_of(error).as_json())
    yield {"data": "[DONE]"}


def _event(value: dict[str, Any]) -> dict[str, str]:
    return {"data": json.dumps(value, ensure_ascii=False)}
