"""MMBench: multiple choice, right only if every rotation of the options is answered right."""

from __future__ import annotations

from collections.abc import Iterator

from dvl2_cli.evaluation.benchmarks.item import Benchmark, BenchmarkItem, Graded
from dvl2_cli.evaluation.benchmarks.metrics.choice import chosen_option, rotations
from dvl2_cli.evaluation.benchmarks.multiple_choice import choice_prompt, lettered_options
from dvl2_cli.evaluation.benchmarks.row import SourceRow

# A rotated row of a released file has the index of its question, plus a multiple of this.
ROTATED_FROM = 1_000_000


def index_of(row: SourceRow) -> int:
    """The index of a row.

    Raises:
        InputError: it is not a whole number.
    """
    text = row.text("index")
    try:
        return int(text)
    except ValueError as error:
        raise row.wrong(f"index is {text[:40]!r}, not a whole number") from error


def _items(row: SourceRow, has_rotations: bool) -> Iterator[BenchmarkItem]:
    """The row's question in every rotation; alone, where the file has the rotations itself."""
    index = index_of(row)
    options, right = lettered_options(row), row.answers("answer")[0]
    if len(options) < 2:
        raise row.wrong("it has fewer than two options")
    if right not in options:
        raise row.wrong(f"answer is {right[:40]!r}, which is none of {', '.join(options)}")
    turned = [(options, right)] if has_rotations else rotations(options, right)
    for turn, (placed, letter) in enumerate(turned):
        yield _item(row, index + turn * ROTATED_FROM, placed, letter)


def _item(row: SourceRow, index: int, options: dict[str, str], right: str) -> BenchmarkItem:
    def grade(answer: str, sizes: object) -> Graded:
        chosen = chosen_option(answer, options)
        return Graded(float(chosen == right), chosen)

    return BenchmarkItem(
        id=str(index),
        unit=str(index % ROTATED_FROM),
        group=row.optional("category") or "",
        row=row,
        text=choice_prompt(row.text("question"), options, row.optional("hint")),
        pictures=row.pictures,
        references=(right, options[right]),
        grade=grade,
    )


MMBENCH = Benchmark(
    "mmbench",
    "MMBench",
    "circular accuracy",
    (("index",), ("image",), ("question",), ("A",), ("B",), ("answer",)),
    _items,
    by_rotation=True,
)
