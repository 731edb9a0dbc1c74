"""Callers in many threads, an engine that takes one: each waits for its turn."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from dvl2_cli.engine.engine import Engine, ModelInfo
from dvl2_cli.engine.events import Confidence, Event, Finished, PromptCost, Usage
from dvl2_cli.engine.request import Request


class OneAtATime:
    """Implements `Engine` for several threads: first come, first served.

    One thread calls the engine: torch keeps a pool of threads for every thread that calls it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="engine")

    @property
    def info(self) -> ModelInfo:
        """As the engine's."""
        return self._engine.info

    def cost(self, request: Request) -> PromptCost:
        """As `Engine.cost`."""
        return self._worker.submit(self._engine.cost, request).result()

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """As `Engine.stream`; who stops listening cancels the answer."""
        cancel = cancel or threading.Event()
        events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        self._worker.submit(self._answer, request, cancel, events)
        finished = False
        try:
            while not finished:
                event = events.get()
                finished = isinstance(event, Finished | BaseException)
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            if not finished:
                cancel.set()

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        """As `Engine.answer_batch`."""
        return self._worker.submit(self._engine.answer_batch, requests).result()

    def close(self) -> None:
        """Wait for the answer that is being written, and close the engine."""
        self._worker.shutdown(wait=True)
        self._engine.close()

    def _answer(
        self,
        request: Request,
        cancel: threading.Event,
        events: queue.SimpleQueue[Event | BaseException],
    ) -> None:
        if cancel.is_set():  # nobody waits any more: the prompt need not be read
            events.put(Finished("", "", "cancelled", Usage(0, 0, 0, 0.0, 0.0), Confidence(None)))
            return
        try:
            for event in self._engine.stream(request, cancel):
                events.put(event)
        except BaseException as error:  # raised again where the answer is awaited
            events.put(error)
