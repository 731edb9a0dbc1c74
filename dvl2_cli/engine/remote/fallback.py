"""A warm process that goes away in the middle of a batch: the model is loaded here instead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from dvl2_cli.engine.engine import Engine, ModelInfo
from dvl2_cli.engine.events import Event, Finished, PromptCost, Token
from dvl2_cli.engine.remote.wire import StoppingError
from dvl2_cli.engine.request import Request


class FallbackEngine:
    """Implements `Engine` with a warm process, and from its end on with a local engine.

    Args:
        warm: answers as long as its process lives.
        open_local: opens the same model anew; called at most once.
    """

    def __init__(self, warm: Engine, open_local: Callable[[], Engine]) -> None:
        self._engine = warm
        self._open_local: Callable[[], Engine] | None = open_local

    @property
    def info(self) -> ModelInfo:
        """The model of the engine that answers now."""
        return self._engine.info

    def cost(self, request: Request) -> PromptCost:
        """As `Engine.cost`."""
        try:
            return self._engine.cost(request)
        except StoppingError:
            self._go_on_here()
            return self._engine.cost(request)

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """As `Engine.stream`.

        Raises:
            StoppingError: the process ended after the first tokens, which somebody may have seen;
                the next request is answered here.
        """
        seen = False
        try:
            for event in self._engine.stream(request, cancel):
                seen = seen or isinstance(event, Token)
                yield event
            return
        except StoppingError:
            self._go_on_here()
            if seen:
                raise
        yield from self._engine.stream(request, cancel)

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        """As `Engine.answer_batch`."""
        try:
            return self._engine.answer_batch(requests)
        except StoppingError:
            self._go_on_here()
            return self._engine.answer_batch(requests)

    def close(self) -> None:
        """Close the engine that answers now."""
        self._engine.close()

    def _go_on_here(self) -> None:
        """Load the model; the local engine's own errors are raised as they are."""
        if self._open_local is not None:
            open_local, self._open_local = self._open_local, None
            self._engine.close()
            self._engine = open_local()
