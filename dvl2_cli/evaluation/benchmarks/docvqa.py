"""DocVQA and InfoVQA: questions about pages and infographics, by ANLS."""

from __future__ import annotations

from collections.abc import Iterator

from dvl2_cli.evaluation.benchmarks.item import Benchmark, BenchmarkItem
from dvl2_cli.evaluation.benchmarks.metrics.anls import best_anls
from dvl2_cli.evaluation.benchmarks.row import SourceRow
from dvl2_cli.evaluation.benchmarks.single_word import single_word_item

_COLUMNS = (("image",), ("question",), ("answers", "answer"))


def _items(row: SourceRow, has_rotations: bool) -> Iterator[BenchmarkItem]:
    del has_rotations
    yield single_word_item(row, row.answers("answers", "answer"), best_anls)


DOCVQA = Benchmark("docvqa", "DocVQA", "ANLS", _COLUMNS, _items)
INFOVQA = Benchmark("infovqa", "InfoVQA", "ANLS", _COLUMNS, _items)
