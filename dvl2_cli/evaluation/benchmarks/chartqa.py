"""ChartQA: questions about charts, by relaxed accuracy, over its two halves."""

from __future__ import annotations

from collections.abc import Iterator

from dvl2_cli.evaluation.benchmarks.item import Benchmark, BenchmarkItem
from dvl2_cli.evaluation.benchmarks.metrics.relaxed import is_close_enough
from dvl2_cli.evaluation.benchmarks.row import SourceRow
from dvl2_cli.evaluation.benchmarks.single_word import single_word_item

_HALVES = ("human", "augmented")


def _items(row: SourceRow, has_rotations: bool) -> Iterator[BenchmarkItem]:
    del has_rotations
    kind = row.text("type", "split").lower()
    half = next((name for name in _HALVES if name in kind), None)
    if half is None:
        raise row.wrong(f"type is {kind[:40]!r}, neither human nor augmented")
    yield single_word_item(row, row.answers("answer"), _score, half)


def _score(references: tuple[str, ...], answer: str) -> float:
    return float(any(is_close_enough(reference, answer.strip()) for reference in references))


CHARTQA = Benchmark(
    "chartqa",
    "ChartQA",
    "relaxed accuracy",
    (("image",), ("question",), ("answer",), ("type", "split")),
    _items,
    mean_of_groups=True,
)
