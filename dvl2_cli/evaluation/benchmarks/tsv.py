"""VLMEvalKit's TSV: a row a question, pictures in base64, or the index of a row that has them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dvl2_cli.errors import InputError
from dvl2_cli.evaluation.benchmarks.pictures import (
    MAX_REFERENCE_CHARACTERS,
    decode_all,
    from_base64,
)

if TYPE_CHECKING:
    from PIL.Image import Image

# A cell may hold several pictures. Python's own limit is 128 KiB.
MAX_CELL_BYTES = 256 * 2**20
_IMAGE, _INDEX = "image", "index"

Cells = dict[str, str]
Pictures = Callable[[], "tuple[Image, ...]"]


class TsvFile:
    """A TSV file, read row by row; of its pictures only the places are kept.

    Raises:
        InputError: it cannot be read, or has no header.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, int] | None = None
        self._last: tuple[str, str] | None = None
        header, _ = next(self._lines(), ([], 0))
        if len(header) < 2:
            raise InputError(f"{path}: the first line has no names of columns between tabs")
        self.columns = tuple(header)

    def rows(self, *, with_pictures: bool) -> Iterator[tuple[int, Cells, Pictures]]:
        """Number (from 1), cells but for the picture, and what decodes the pictures.

        Raises:
            InputError: a row has another number of cells, or its picture is another row's that
                has none. It is only looked for if ``with_pictures``.
        """
        places: dict[str, int] = {}
        lines = self._lines()
        next(lines, None)
        for number, (line, place) in enumerate(lines, 1):
            cells = self._cells(line, number)
            cell = cells.pop(_IMAGE, "")
            if len(cell) > MAX_REFERENCE_CHARACTERS:
                places[cells.get(_INDEX, "")] = place
            yield number, cells, self._pictures(number, cell) if with_pictures else _not_asked
        self._places = places

    def _cells(self, line: list[str], number: int) -> Cells:
        if len(line) != len(self.columns):
            raise InputError(
                f"{self.path}, row {number}: {len(line)} cells for {len(self.columns)} columns"
            )
        return dict(zip(self.columns, line, strict=True))

    def _pictures(self, number: int, cell: str) -> Pictures:
        where = f"{self.path}, row {number}"

        def decode() -> tuple[Image, ...]:
            found = cell
            if len(found) <= MAX_REFERENCE_CHARACTERS:
                found = self._referenced(found, where)
            return decode_all(from_base64(found, where), where)

        return decode

    def _referenced(self, index: str, where: str) -> str:
        """The picture cell of the row that has ``index``; the last one is kept."""
        last = self._last  # another thread may replace it
        if last is not None and last[0] == index:
            return last[1]
        if not index:
            raise InputError(f"{where}: image is empty")
        if self._places is None:
            for _ in self.rows(with_pictures=False):
                pass
        place = (self._places or {}).get(index)
        if place is None:
            raise InputError(
                f"{where}: image is {index!r}, neither a picture in base64 nor the index of a row "
                "that has one"
            )
        line, _ = next(self._lines(place))
        cell = dict(zip(self.columns, line, strict=True))[_IMAGE]
        self._last = (index, cell)
        return cell

    def _lines(self, place: int = 0) -> Iterator[tuple[list[str], int]]:
        """Rows as lists of cells from the byte ``place`` on, each with where it starts."""
        csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL_BYTES))
        try:
            with self.path.open("rb") as stream:
                stream.seek(place)
                counted = _CountedLines(stream, place)
                reader = csv.reader(counted, delimiter="\t")
                while True:
                    place = counted.place
                    line = next(reader, None)
                    if line is None:
                        return
                    if line:
                        yield line, place
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path}: the row at byte {place} is not UTF-8") from error
        except csv.Error as error:
            raise InputError(f"{self.path}: the row at byte {place}: {error}") from error


class _CountedLines:
    """The lines of a file as text, and the byte at which the next one starts."""

    def __init__(self, stream: IO[bytes], place: int) -> None:
        self._stream, self.place = stream, place

    def __iter__(self) -> _CountedLines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_CELL_BYTES + 1)
        if not line:
            raise StopIteration
        if len(line) > MAX_CELL_BYTES:
            raise csv.Error(f"it is over {MAX_CELL_BYTES // 2**20} MiB long")
        text = line.decode("utf-8-sig" if self.place == 0 else "utf-8")
        self.place += len(line)
        return text


def _not_asked() -> tuple[Image, ...]:
    raise RuntimeError("the rows were read without pictures")
