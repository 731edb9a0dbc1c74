"""An engine whose answers are counted and timed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from dvl2_cli.engine.engine import Engine, ModelInfo
from dvl2_cli.engine.events import Event, Finished, PromptCost, Started, Token
from dvl2_cli.engine.request import Request
from dvl2_cli.server.http.metrics import Metrics


class MeteredEngine:
    """Implements `Engine`: every answer of ``engine`` goes into ``metrics``."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    @property
    def info(self) -> ModelInfo:
        """As the engine's."""
        return self._engine.info

    def cost(self, request: Request) -> PromptCost:
        """As `Engine.cost`."""
        return self._engine.cost(request)

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """As `Engine.stream`."""
        metrics, asked = self._metrics, time.monotonic()
        started, last = False, 0.0
        metrics.asked()
        try:
            for event in self._engine.stream(request, cancel):
                now = time.monotonic()
                if isinstance(event, Started):
                    started = True
                    metrics.started(now - asked, event.cost.prompt_tokens, event.reused_tokens)
                elif isinstance(event, Token):
                    metrics.token(now - (last or asked), first=not last)
                    last = now
                else:
                    _count(metrics, event, now - asked)
                yield event
        finally:
            metrics.left(started=started)

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        """As `Engine.answer_batch`."""
        return self._engine.answer_batch(requests)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def _count(metrics: Metrics, answer: Finished, seconds: float) -> None:
    usage = answer.usage
    metrics.finished(
        answer.finish_reason,
        seconds,
        (usage.prompt_tokens, usage.image_tokens, usage.completion_tokens),
        (usage.prefill_seconds, usage.decode_seconds),
    )
