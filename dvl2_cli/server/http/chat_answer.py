"""The answer to OpenAI's request, whole or in pieces."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from dvl2_cli import __version__
from dvl2_cli.engine.events import Event, Finished, Started, Token, Usage
from dvl2_cli.server.http.answer_format import Call
from dvl2_cli.server.http.chat_request import ChatJob, Piece
from dvl2_cli.server.http.visible import VisibleText

# OpenAI knows no loop: an answer that was cut there is not complete either.
REASONS = {"stop": "stop", "length": "length", "loop": "length", "cancelled": "length"}


@dataclass(slots=True)
class ChatChoice:
    """One answer while it comes."""

    job: ChatJob
    index: int
    visible: VisibleText
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    reused_tokens: int = 0
    finished: Finished | None = None
    call_id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex[:24]}")

    @property
    def called(self) -> Call | None:
        """The call that the finished answer is."""
        if not self.job.form.tools or self.finished is None:
            return None
        return self.job.form.call(self.finished.text)

    @property
    def reason(self) -> str:
        """Why the answer ended, in OpenAI's words."""
        assert self.finished is not None  # noqa: S101
        reason = REASONS[self.finished.finish_reason]
        return "tool_calls" if reason == "stop" and self.called is not None else reason

    def take(self, event: Event) -> tuple[str, list[dict[str, Any]]]:
        """The text that can be shown after ``event``, and its tokens where they are wanted."""
        if isinstance(event, Started):
            self.reused_tokens = event.reused_tokens
            return "", []
        if isinstance(event, Finished):
            self.finished = event
            return self.visible.finish(event.text), []
        entries = [_logprob(event)] if self.job.body.logprobs else []
        self.logprobs += entries
        return self.visible.feed(event.text), entries

    def own(self) -> dict[str, Any]:
        """What dvl2 says beyond OpenAI's form."""
        finished = self.finished
        assert finished is not None  # noqa: S101
        warnings = self.job.form.warnings(finished)
        own: dict[str, Any] = {"finish_reason": finished.finish_reason, "warnings": warnings}
        if finished.raw.strip() != finished.text or self.job.body.dvl2 is not None:
            own["raw"] = finished.raw
        if self.job.body.dvl2 is not None:
            own["text"] = finished.text
            own["confidence"] = asdict(finished.confidence)
        return own


class ChatAnswer:
    """The choices of one request, and their common head."""

    def __init__(self, job: ChatJob) -> None:
        self._job = job
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._choices: dict[int, ChatChoice] = {}

    def take(self, piece: Piece) -> tuple[ChatChoice, str, list[dict[str, Any]]]:
        """The choice that ``piece`` belongs to, what can be shown of it, and its tokens."""
        choice = self._choices.get(piece.index)
        if choice is None:
            choice = ChatChoice(self._job, piece.index, VisibleText(self._job.stop))
            self._choices[piece.index] = choice
        return choice, *choice.take(piece.event)

    def whole(self) -> dict[str, Any]:
        """The answer in one object."""
        choices = [_whole(choice) for choice in self._choices.values()]
        return {**self._head("chat.completion"), "choices": choices, "usage": self.usage()}

    def chunks(self, piece: Piece) -> Iterator[dict[str, Any]]:
        """What a stream says of ``piece``."""
        is_new = piece.index not in self._choices
        choice, text, tokens = self.take(piece)
        if is_new:
            first = {"role": "assistant", "content": None if self._job.form.tools else ""}
            yield self._chunk(choice, {**first, **_opened(choice)})
        delta = _delta(choice, text)
        if delta or tokens:
            yield self._chunk(choice, delta, tokens)
        if choice.finished is not None:
            yield self._chunk(choice, {}, reason=choice.reason)

    def last_chunk(self) -> dict[str, Any]:
        """The counts, as a stream ends with them where they were asked for."""
        head = self._head("chat.completion.chunk")
        return {**head, "choices": [], "usage": self.usage()}

    def usage(self) -> dict[str, Any]:
        """Tokens and seconds of all answers; the prompt is counted once."""
        done = [choice.finished.usage for choice in self._choices.values() if choice.finished]
        reused = [choice.reused_tokens for choice in self._choices.values()]
        prompt = done[0].prompt_tokens if done else 0
        written = sum(usage.completion_tokens for usage in done)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": reused[0] if reused else 0},
            "dvl2": _details(done),
        }

    def _head(self, kind: str) -> dict[str, Any]:
        info = self._job.service.info
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._job.service.model_name,
            "system_fingerprint": f"dvl2-{__version__}-{info.quant}-{info.device}",
        }

    def _chunk(
        self,
        choice: ChatChoice,
        delta: dict[str, Any],
        tokens: list[dict[str, Any]] | None = None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "index": choice.index,
            "delta": delta,
            "logprobs": {"content": tokens, "refusal": None} if tokens else None,
            "finish_reason": reason,
        }
        if reason is not None:
            entry["dvl2"] = choice.own()
        chunk = {**self._head("chat.completion.chunk"), "choices": [entry]}
        return {**chunk, "usage": None} if self._job.body.wants_usage else chunk


def _whole(choice: ChatChoice) -> dict[str, Any]:
    assert choice.finished is not None  # noqa: S101
    called = choice.called
    message: dict[str, Any] = {"role": "assistant", "content": choice.finished.text}
    if called is not None:
        message = {"role": "assistant", "content": None, "tool_calls": [_call(choice, called)]}
    logprobs = {"content": choice.logprobs, "refusal": None} if choice.job.body.logprobs else None
    return {
        "index": choice.index,
        "message": {**message, "refusal": None},
        "logprobs": logprobs,
        "finish_reason": choice.reason,
        "dvl2": choice.own(),
    }


def _call(choice: ChatChoice, called: Call) -> dict[str, Any]:
    function = {"name": called.name, "arguments": called.arguments}
    return {"id": choice.call_id, "type": "function", "function": function}


def _opened(choice: ChatChoice) -> dict[str, Any]:
    """The start of a call whose name is known before the answer."""
    if len(choice.job.form.tools) != 1:
        return {}
    call = _call(choice, Call(choice.job.form.tools[0], ""))
    return {"tool_calls": [{"index": 0, **call}]}


def _delta(choice: ChatChoice, text: str) -> dict[str, Any]:
    tools = choice.job.form.tools
    if not tools:
        return {"content": text} if text else {}
    if len(tools) == 1:
        part = {"index": 0, "function": {"arguments": text}}
        return {"tool_calls": [part]} if text else {}
    called = choice.called  # of several tools, which one is known at the end
    return {} if called is None else {"tool_calls": [{"index": 0, **_call(choice, called)}]}


def _logprob(token: Token) -> dict[str, Any]:
    data = list(token.text.encode())
    return {"token": token.text, "logprob": token.logprob, "bytes": data, "top_logprobs": []}


def _details(done: list[Usage]) -> dict[str, Any]:
    return {
        "image_tokens": done[0].image_tokens if done else 0,
        "prefill_seconds": round(sum(usage.prefill_seconds for usage in done), 4),
        "decode_seconds": round(sum(usage.decode_seconds for usage in done), 4),
    }
