"""OCRBench: 1,000 questions of ten types; the score is the number of right answers."""

from __future__ import annotations

from collections.abc import Iterator

from dvl2_cli.evaluation.benchmarks.item import Benchmark, BenchmarkItem, Graded
from dvl2_cli.evaluation.benchmarks.metrics.contained import contains_one
from dvl2_cli.evaluation.benchmarks.row import SourceRow

_FORMULA_SET = "HME100k"
_FORMULA_TYPE = "Handwritten Mathematical Expression Recognition"


def _items(row: SourceRow, has_rotations: bool) -> Iterator[BenchmarkItem]:
    del has_rotations
    references = row.answers("answer", only_lists=True)
    kind = row.text("question_type", "category")
    is_formula = row.optional("dataset") == _FORMULA_SET or kind == _FORMULA_TYPE
    name = row.optional("index") or str(row.place)
    yield BenchmarkItem(
        id=name,
        unit=name,
        group=kind,
        row=row,
        text=row.text("question"),
        pictures=row.pictures,
        references=references,
        grade=lambda answer, sizes: Graded(
            float(contains_one(references, answer, formula=is_formula)), answer
        ),
    )


OCRBENCH = Benchmark(
    "ocrbench",
    "OCRBench",
    "right of 1,000",
    (("image",), ("question",), ("answer",), ("question_type", "category")),
    _items,
    scale=1000,
)
