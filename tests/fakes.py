"""An engine without a model: answers from a script, so that commands are tested without torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

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
from dvl2_cli.engine.request import Request

Answer = str | Callable[[Request], str]


class FakeEngine:
    """Implements ``Engine``: every answer is ``answer`` (or what it returns for the request)."""

    def __init__(
        self,
        answer: Answer = "a red car",
        *,
        finish_reason: FinishReason = "stop",
        context_length: int = 4096,
        mean_probability: float = 0.9,
        is_nano: bool = False,
    ) -> None:
        self.requests: list[Request] = []
        self.closed = False
        self._answer = answer
        self._finish_reason = finish_reason
        self._confidence = Confidence(mean_probability)
        self.info = ModelInfo("fake", None, "none", "cpu", context_length, is_nano, "test")

    def cost(self, request: Request) -> PromptCost:
        images = [image for message in request.messages for image in message.images]
        words = sum(len(message.shown.split()) for message in request.messages)
        return PromptCost(
            words + 421 * len(images),
            421 * len(images),
            self.info.context_length,
            tuple((1, 1) for _ in images),
        )

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        self.requests.append(request)
        raw = self._answer if isinstance(self._answer, str) else self._answer(request)
        cost = self.cost(request)
        yield Started(cost, 0)
        sent = ""
        reason: FinishReason = self._finish_reason
        for index, char in enumerate(raw):
            if cancel is not None and cancel.is_set():
                reason = "cancelled"
                break
            sent += char
            yield Token(char, index, -0.1)
        usage = Usage(cost.prompt_tokens, cost.image_tokens, len(sent), 0.01, 0.01)
        yield Finished(sent, sent, reason, usage, self._confidence)

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        answers = []
        for request in requests:
            *_, last = self.stream(request)
            assert isinstance(last, Finished)
            answers.append(last)
        return answers

    def close(self) -> None:
        self.closed = True
