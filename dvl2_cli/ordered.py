"""Work on many inputs at once, whose results come in the order of the inputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Input = TypeVar("_Input")
_Result = TypeVar("_Result")


def _never() -> bool:
    return False


def _nothing() -> None:
    pass


def in_order(
    inputs: Iterable[_Input],
    work: Callable[[_Input], _Result],
    width: int,
    *,
    stop: Callable[[], bool] = _never,
    abort: Callable[[], None] = _nothing,
) -> Iterator[_Result]:
    """The results of ``work`` on each input.

    Inputs are taken in this thread, while earlier ones are worked on in others; at most twice
    ``width`` are taken whose results have not been. One at a time all is done in this thread.

    Args:
        inputs: gone through once.
        work: on one input.
        width: how many are worked on at once, 1 or more.
        stop: whether no further input should be begun; what was begun is finished.
        abort: is called where this ends before its end, and should make ``work`` return soon.
    """
    if width == 1:
        for item in inputs:
            yield work(item)
            if stop():
                return
        return
    with ThreadPoolExecutor(width, thread_name_prefix="input") as pool:
        begun: deque[Future[_Result]] = deque()
        ended = False
        try:
            for item in inputs:
                if stop():
                    break
                begun.append(pool.submit(work, item))
                while begun and (begun[0].done() or len(begun) >= 2 * width):
                    yield begun.popleft().result()
            for future in list(begun):
                if not stop() or not future.cancel():
                    yield future.result()
            ended = True
        finally:
            if not ended:
                abort()
                pool.shutdown(wait=False, cancel_futures=True)
