"""Work that waits for the model, in threads; awaited, streamed and left from the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from starlette.requests import Request as HttpRequest

from dvl2_cli.errors import Dvl2Error
from dvl2_cli.server.http.refusals import RefusalError, refusal_of
from dvl2_cli.server.http.service import Service

_Item = TypeVar("_Item")
Job = Callable[[threading.Event], Iterator[_Item]]


class _End:
    """The job came to its end, or to ``error``."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Work(Generic[_Item]):
    """The items that ``job`` yields in a thread of its own, as they come.

    Whoever leaves sets the event that the job was given: the answer is cancelled then.

    Raises:
        RefusalError: too many are running or waiting.
    """

    def __init__(self, service: Service, job: Job[_Item]) -> None:
        self.cancel = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[_Item | _End] = asyncio.Queue()
        self._job = job
        service.start(self._run)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel.set()

    def __aiter__(self) -> AsyncIterator[_Item]:
        return self

    async def __anext__(self) -> _Item:
        item = await self._items.get()
        if not isinstance(item, _End):
            return item
        if item.error is not None:
            raise item.error
        raise StopAsyncIteration

    async def first(self, request: HttpRequest) -> _Item:
        """The first item; until it is there, a client that goes away ends the work.

        Raises:
            RefusalError: the client went away.
        """
        try:
            return await _unless_gone(request, self.__anext__)
        except BaseException:
            self.cancel.set()
            raise

    async def rest(self, first: _Item) -> AsyncGenerator[_Item]:
        """``first`` and what follows it; leaving the iteration cancels the work."""
        async with self:
            yield first
            async for item in self:
                yield item

    async def each(self, request: HttpRequest, take: Callable[[_Item], object]) -> None:
        """Give every item to ``take``; see ``first``."""

        async def taken() -> None:
            async for item in self:
                take(item)

        async with self:
            await _unless_gone(request, taken)

    def _run(self) -> None:
        end = _End()
        try:
            if not self.cancel.is_set():
                for item in self._job(self.cancel):
                    self._tell(item)
        except BaseException as error:  # raised again where the items are awaited
            end = _End(error)
            if not isinstance(error, RefusalError | Dvl2Error):
                print(f"dvl2: {type(error).__name__}: {error}", file=sys.stderr)
                end = _End(refusal_of(error))
        self._tell(end)

    def _tell(self, item: _Item | _End) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)


async def _unless_gone(request: HttpRequest, result: Callable[[], Awaitable[_Item]]) -> _Item:
    """The awaited result.

    Raises:
        RefusalError: the client went away before.
    """
    awaited = asyncio.ensure_future(result())
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({awaited, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not awaited.done():
            raise RefusalError(499, "the client went away", "gone")
        return await awaited
    finally:
        for task in (awaited, gone):
            task.cancel()


async def _gone(request: HttpRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
