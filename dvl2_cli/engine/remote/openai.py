"""The engine behind an OpenAI-compatible server: /v1/chat/completions, streamed."""

from __future__ import annotations

import base64
import io
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import (
    Confidence,
    Event,
    Finished,
    FinishReason,
    PromptCost,
    Started,
    Token,
    Usage,
)
from dvl2_cli.engine.remote.http import Http, ServerError
from dvl2_cli.engine.request import Message, Request
from dvl2_cli.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.settings import Settings

_OWNER = "dvl2"
_DEFAULT_CONTEXT = 4096
# No token of the vocabulary is longer, and no server splits one into more pieces.
_MAX_CHARACTERS_PER_TOKEN = 128
_MAX_PIECES_PER_TOKEN = 4
_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length", "loop": "loop"}


@dataclass(slots=True)
class _Answer:
    """What has arrived of an answer."""

    started: float
    text: str = ""
    reason: FinishReason = "stop"
    first_token: float | None = None
    pieces: int = 0
    prompt_tokens: int = 0
    completion_tokens: int | None = None

    def exceeds(self, max_tokens: int) -> bool:
        """Whether more came than ``max_tokens`` tokens can be: the server ignores the limit."""
        return (
            self.pieces > _MAX_PIECES_PER_TOKEN * max_tokens
            or len(self.text) > _MAX_CHARACTERS_PER_TOKEN * max_tokens
        )

    def finish(self) -> Finished:
        now = time.monotonic()
        first = self.first_token or now
        usage = Usage(
            self.prompt_tokens,
            0,
            self.pieces if self.completion_tokens is None else self.completion_tokens,
            first - self.started,
            now - first,
        )
        # The server keeps special tokens or not as it pleases: one text serves as both.
        return Finished(self.text, self.text, self.reason, usage, Confidence(None))


class ServerEngine:
    """Implements `Engine`. The server counts tokens itself: costs are 0 before an answer.

    Grammars other than a JSON Schema are sent only to dvl2's own server; other servers
    answer freely, and the caller's parser has to be as strict as it always is.
    """

    def __init__(self, http: Http, info: ModelInfo, *, is_dvl2: bool) -> None:
        self._http = http
        self._info = info
        self._is_dvl2 = is_dvl2

    @property
    def info(self) -> ModelInfo:
        """The model as the server names it."""
        return self._info

    def cost(self, request: Request) -> PromptCost:
        """The context's length; every count is 0, for only the server can tell."""
        del request
        return PromptCost(0, 0, self._info.context_length, ())

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """As `Engine.stream`.

        Raises:
            ServerError: the server cannot be reached, refuses, or breaks off.
        """
        yield Started(self.cost(request), 0)
        answer = _Answer(time.monotonic())
        body = self.body(request)
        for chunk in self._http.events("/v1/chat/completions", body, cancel):
            if "error" in chunk:
                error = chunk["error"]
                raise self._http.reported(
                    error.get("message") if isinstance(error, dict) else error
                )
            piece = _read_chunk(chunk, answer)
            if piece:
                answer.pieces += 1
                answer.first_token = answer.first_token or time.monotonic()
                answer.text += piece
                # Servers send no token ids; -1 is none, and no probability is known.
                yield Token(piece, -1, 0.0)
            if answer.exceeds(request.sampling.max_new_tokens):
                answer.reason = "length"
                break
        if cancel is not None and cancel.is_set():
            answer.reason = "cancelled"
        yield answer.finish()

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        """One after the other: the server batches what arrives together from many clients."""
        answers = []
        for request in requests:
            *_, last = self.stream(request)
            if isinstance(last, Finished):
                answers.append(last)
        return answers

    def close(self) -> None:
        """Nothing is held between requests."""

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON body of a streamed chat completion."""
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._info.id,
            "messages": [_message(message) for message in request.messages],
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if request.stop:
            body["stop"] = list(request.stop)
        if request.constraint is not None and request.constraint.kind == "json_schema":
            schema = json.loads(request.constraint.text)
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema, "strict": True},
            }
        if self._is_dvl2:
            body["dvl2"] = _extras(request)
            if any(message.literal for message in request.messages):
                body["dvl2"]["literal"] = [
                    [list(span) for span in message.literal] for message in request.messages
                ]
        return body


def open_server(settings: Settings) -> ServerEngine:
    """The engine behind ``settings.server``; asks the server which model it has.

    Raises:
        UsageError: not an http(s) URL.
        ServerError: the server cannot be reached, or has not the model that was named.
    """
    http = Http(settings.server or "", os.environ.get("DVL2_API_KEY"))
    listing = http.get("/v1/models")
    entries = listing.get("data")
    models = (
        [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
    names = [str(entry.get("id")) for entry in models]
    if not models:
        raise ServerError(f"the server {http.url} lists no model")
    # A model named in the settings file is this machine's; a flag or variable is meant here.
    chosen = settings.model if settings.source("model") in ("flag --model", "DVL2_MODEL") else None
    if chosen is None and len(models) > 1:
        raise UsageError(
            f"the server {http.url} has {len(models)} models", f"Choose with -m: {', '.join(names)}"
        )
    if chosen is not None and chosen not in names:
        raise ServerError(
            f"the server {http.url} has no model {chosen}", f"It has: {', '.join(names)}"
        )
    entry = models[names.index(chosen)] if chosen else models[0]
    length = entry.get("max_model_len")
    info = ModelInfo(
        id=str(entry.get("id")),
        revision=None,
        quant="unknown",
        device=http.url,
        context_length=length if isinstance(length, int) else _DEFAULT_CONTEXT,
        is_nano=bool(entry.get("is_nano")),
        reason=f"served by {http.url}",
    )
    return ServerEngine(http, info, is_dvl2=entry.get("owned_by") == _OWNER)


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    parts: list[dict[str, Any]] = []
    for index, part in enumerate(replace(message, literal=()).parts()):
        if not isinstance(part, str):
            parts.append(_image_part(cast("Image", part)))
        elif text := part.removeprefix("\n") if index else part:
            # The server gives each image a line of its own.
            parts.append({"type": "text", "text": text})
    return {"role": message.role, "content": parts}


def _image_part(image: Image) -> dict[str, Any]:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def _extras(request: Request) -> dict[str, Any]:
    constraint = request.constraint
    return {
        "tiles": request.tiles,
        "zoom": request.zoom,
        "max_lines": request.max_lines,
        "loop_guard": request.loop_guard,
        "top_k": request.sampling.top_k,
        "repetition_penalty": request.sampling.repetition_penalty,
        "constraint": {"kind": constraint.kind, "text": constraint.text} if constraint else None,
    }


def _read_chunk(chunk: dict[str, Any], answer: _Answer) -> str:
    """The text of one event; counts and the finish reason go into ``answer``."""
    usage = chunk.get("usage")
    if isinstance(usage, dict):
        answer.prompt_tokens = _count(usage.get("prompt_tokens"))
        answer.completion_tokens = _count(usage.get("completion_tokens"))
    choices = chunk.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return ""
    reason = choices[0].get("finish_reason")
    if isinstance(reason, str):
        answer.reason = _REASONS.get(reason, "stop")
    delta = choices[0].get("delta")
    piece = delta.get("content") if isinstance(delta, dict) else None
    return piece if isinstance(piece, str) else ""


def _count(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0
