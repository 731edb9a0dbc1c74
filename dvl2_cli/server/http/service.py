"""The model behind every handler: whether it is loaded, what it is called, how many may ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePath

from starlette.requests import Request as HttpRequest

from dvl2_cli.engine.engine import Engine, ModelInfo
from dvl2_cli.engine.request import RequestDefaults
from dvl2_cli.inputs.load import Reading
from dvl2_cli.server.http.metered import MeteredEngine
from dvl2_cli.server.http.metrics import Metrics
from dvl2_cli.server.http.options import HttpOptions
from dvl2_cli.server.http.refusals import RefusalError
from dvl2_cli.tasks.context import TaskContext

_LOADING_SECONDS = 5
_BUSY_SECONDS = 2


class Service:
    """What handlers share.

    Args:
        options: of the server.
        defaults: what requests have that say nothing else; given ``max_tokens`` of a task.
        reading: how pictures are read; the limits are those of ``options``.
        alias: what the model was called where the server was started.
    """

    def __init__(
        self,
        options: HttpOptions,
        defaults: Callable[[int], RequestDefaults],
        reading: Reading | None = None,
        alias: str | None = None,
    ) -> None:
        self._alias = alias
        self.options = options
        self.defaults = defaults
        self.reading = reading or Reading(limits=options.limits.inputs)
        self.metrics = Metrics()
        self.started = int(time.time())
        self._engine: Engine | None = None
        self._room = threading.BoundedSemaphore(options.limits.queue)
        self._threads = ThreadPoolExecutor(options.limits.queue, thread_name_prefix="answer")

    def open(self, engine: Engine) -> None:
        """Answer with ``engine`` from now on."""
        self._engine = MeteredEngine(engine, self.metrics)
        self.metrics.name(self.model_name)

    def close(self) -> None:
        """Wait for every answer, and free the model's memory."""
        self._threads.shutdown(wait=True)
        if self._engine is not None:
            self._engine.close()

    @property
    def is_loaded(self) -> bool:
        """Whether questions can be answered."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            RefusalError: it is still being loaded.
        """
        if self._engine is None:
            raise RefusalError(
                503, "the model is still being loaded", "loading", retry_after=_LOADING_SECONDS
            )
        return self._engine

    @property
    def info(self) -> ModelInfo:
        """Which model answers."""
        return self.engine.info

    @property
    def model_name(self) -> str:
        """What clients call it: a folder's own name, for its place is nobody's business."""
        name = self.info.id
        return PurePath(name).name if PurePath(name).is_absolute() else name

    def check_model(self, name: str | None) -> None:
        """Refuse a model that is not served; Ollama's clients add a tag.

        Raises:
            RefusalError: another model is served.
        """
        served = self.model_name
        known = (served, self.info.id, self._alias)
        if name is not None and name.removesuffix(":latest") not in known:
            raise RefusalError(
                404, f"the model {name[:200]!r} is not served; {served} is", "model_not_found",
                "model",
            )  # fmt: skip

    def context(self, cancel: threading.Event, max_tokens: int) -> TaskContext:
        """What a task works with."""
        return TaskContext(self.engine, self.defaults(max_tokens), cancel)

    def start(self, job: Callable[[], None]) -> Future[None]:
        """Run ``job`` in a thread of its own.

        Raises:
            RefusalError: as many as may are running or waiting.
        """
        if not self._room.acquire(blocking=False):
            raise RefusalError(
                429, "too many requests wait: try again later", "queue_full",
                retry_after=_BUSY_SECONDS,
            )  # fmt: skip
        try:
            running = self._threads.submit(job)
        except RuntimeError as error:  # the pool is shut down, or there are no more threads
            self._room.release()
            raise RefusalError(503, "the server is stopping", "stopping", retry_after=5) from error
        running.add_done_callback(lambda _: self._room.release())
        return running


def service_of(request: HttpRequest) -> Service:
    """The service of the application that got ``request``."""
    service = request.app.state.service
    assert isinstance(service, Service)  # noqa: S101
    return service
