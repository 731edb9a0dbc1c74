"""Results come in the order of the inputs, however long each takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dvl2_cli.ordered import in_order


@pytest.mark.parametrize("width", [1, 2, 5])
def test_results_keep_the_order_of_the_inputs(width: int) -> None:
    assert list(in_order(range(20), lambda number: number * 2, width)) == list(range(0, 40, 2))


def test_so_many_are_worked_on_at_once() -> None:
    together = threading.Barrier(3, timeout=60)

    def work(number: int) -> int:
        together.wait()  # passes only when three wait here
        return number

    assert list(in_order(range(6), work, 3)) == list(range(6))


def test_few_inputs_are_taken_ahead() -> None:
    taken: list[int] = []

    def inputs() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    for result in in_order(inputs(), lambda number: number, 2):
        assert len(taken) <= result + 1 + 2 * 2


@pytest.mark.parametrize("width", [1, 3])
def test_stopping_begins_nothing_more_and_finishes_what_was_begun(width: int) -> None:
    stopped = threading.Event()
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 4:
            stopped.set()
        return number

    results = list(in_order(range(100), work, width, stop=stopped.is_set))
    assert results[:5] == [0, 1, 2, 3, 4]
    assert results == sorted(begun)
    assert len(begun) <= 5 + 2 * width


def test_an_error_ends_all_and_asks_the_others_to_end() -> None:
    aborted = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            raise ValueError("the first one")
        aborted.wait(timeout=60)
        return number

    with pytest.raises(ValueError, match="the first one"):
        list(in_order(range(8), work, 2, abort=aborted.set))
    assert aborted.is_set()
