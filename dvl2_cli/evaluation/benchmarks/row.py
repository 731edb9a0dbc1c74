"""One row of a benchmark file, and what its cells say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.errors import InputError
from dvl2_cli.evaluation.benchmarks.cells import as_list, is_missing

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row.

    Attributes:
        file: it is read from.
        number: of the row in the file, from 1.
        place: of the row among all files, from 1.
        cells: column -> value, without pictures.
        pictures: decodes the row's pictures, upright RGB, in their order.
    """

    file: Path
    number: int
    place: int
    cells: Mapping[str, Any]
    pictures: Callable[[], tuple[Image, ...]]

    def wrong(self, what: str, hint: str | None = None) -> InputError:
        """The error that says what is wrong with this row."""
        return InputError(f"{self.file}, row {self.number}: {what}", hint)

    def optional(self, *columns: str) -> str | None:
        """The text of the first of ``columns`` that has one."""
        for column in columns:
            value = self.cells.get(column)
            if not is_missing(value):
                return str(value)
        return None

    def text(self, *columns: str) -> str:
        """The same, which has to be there.

        Raises:
            InputError: it is not.
        """
        found = self.optional(*columns)
        if found is None:
            raise self.wrong(f"{' or '.join(columns)} is empty")
        return found

    def answers(self, *columns: str, only_lists: bool = False) -> tuple[str, ...]:
        """The right answers, at least one; a text that is no list is one, unless ``only_lists``.

        Raises:
            InputError: there are none, or the list cannot be read.
        """
        column = next((name for name in columns if not is_missing(self.cells.get(name))), None)
        if column is None:
            raise self.wrong(
                "it has no answer", "Test splits often come without: take the validation split."
            )
        value = self.cells[column]
        try:
            found = as_list(value)
        except ValueError as error:
            raise self.wrong(f"{column} is no list of answers: {error}") from error
        if found is not None:
            return tuple(found)
        if only_lists or not isinstance(value, (str, int, float)):
            raise self.wrong(f"{column} is no list of answers: {str(value)[:40]!r}")
        return (str(value),)
