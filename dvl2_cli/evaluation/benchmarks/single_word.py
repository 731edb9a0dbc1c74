"""The question of the sets that are answered by a word: DocVQA, InfoVQA, ChartQA, TextVQA."""

from __future__ import annotations

from collections.abc import Callable

from dvl2_cli.evaluation.benchmarks.item import BenchmarkItem, Graded
from dvl2_cli.evaluation.benchmarks.row import SourceRow

# As VLMEvalKit asks DeepSeek-VL2.
SUFFIX = "\nAnswer the question using a single word or phrase."
IDS = ("questionId", "question_id", "index")


def single_word_item(
    row: SourceRow,
    references: tuple[str, ...],
    score: Callable[[tuple[str, ...], str], float],
    group: str = "",
) -> BenchmarkItem:
    """The question of ``row``, whose answer is graded by ``score``."""
    name = row.optional(*IDS) or str(row.place)
    return BenchmarkItem(
        id=name,
        unit=name,
        group=group,
        row=row,
        text=row.text("question") + SUFFIX,
        pictures=row.pictures,
        references=references,
        grade=lambda answer, sizes: Graded(score(references, answer), answer),
    )
