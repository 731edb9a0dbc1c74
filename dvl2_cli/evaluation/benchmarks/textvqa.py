"""TextVQA: questions about text in photographs, by agreement with ten people."""

from __future__ import annotations

from collections.abc import Iterator

from dvl2_cli.evaluation.benchmarks.item import Benchmark, BenchmarkItem
from dvl2_cli.evaluation.benchmarks.metrics.vqa import agreement
from dvl2_cli.evaluation.benchmarks.row import SourceRow
from dvl2_cli.evaluation.benchmarks.single_word import single_word_item


def _items(row: SourceRow, has_rotations: bool) -> Iterator[BenchmarkItem]:
    del has_rotations
    references = row.answers("answers", "answer", only_lists=True)
    yield single_word_item(row, references, agreement)


TEXTVQA = Benchmark(
    "textvqa",
    "TextVQA",
    "VQA accuracy",
    (("image",), ("question",), ("answers", "answer")),
    _items,
)
