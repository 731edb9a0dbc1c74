"""A benchmark's question, how it is shown to the model, and how an answer is graded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dvl2_cli.engine.request import Message

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.evaluation.benchmarks.row import SourceRow

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Graded:
    """``score`` 0..1, and what of the answer was compared; None where nothing could be."""

    score: float
    prediction: str | None


# From the answer and the sizes of the pictures (width, height; pixels).
Grade = Callable[[str, tuple[Size, ...]], Graded]


@dataclass(frozen=True, slots=True)
class BenchmarkItem:
    """One question.

    Attributes:
        id: no other question of the run has it.
        unit: questions that count together, all right or not; its own id otherwise.
        group: a row of the report.
        row: where the question comes from.
        text: the question as it is asked.
        pictures: decodes its pictures.
        references: right answers, for people.
        grade: scores an answer.
        on_one_line: the pictures stand side by side, and not each on a line of its own.
        with_tags: the answer is graded with its special tokens.
    """

    id: str
    unit: str
    group: str
    row: SourceRow
    text: str
    pictures: Callable[[], tuple[Image, ...]]
    references: tuple[str, ...]
    grade: Grade
    on_one_line: bool = False
    with_tags: bool = False

    def message(self, images: tuple[Image, ...]) -> Message:
        """The turn that asks the question about ``images``, word for word."""
        if self.on_one_line:
            return Message("user", f"\n{self.text}", images, (0,) * len(images))
        return Message("user", self.text, images)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A set.

    Attributes:
        name: as on the command line.
        title: as people write it.
        metric: what the score is.
        columns: needed; each is one name or another.
        items: the questions of a row; told whether the file holds the rotations itself.
        scale: the score of a perfect model.
        mean_of_groups: the score is the mean of the groups' means.
        by_rotation: rows may be rotations of other rows.
        warning: must be known before a score is compared.
    """

    name: str
    title: str
    metric: str
    columns: tuple[tuple[str, ...], ...]
    items: Callable[[SourceRow, bool], Iterator[BenchmarkItem]]
    scale: int = 100
    mean_of_groups: bool = False
    by_rotation: bool = False
    warning: str | None = None
