"""lmms-eval's parquet: a row a question, pictures as {bytes, path}."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.errors import InputError
from dvl2_cli.evaluation.benchmarks.pictures import decode_all, from_base64
from dvl2_cli.packages import need_packages

if TYPE_CHECKING:
    from PIL.Image import Image

_IMAGE = re.compile(r"image(_\d+)?")
# Rows in memory at a time, and bytes of a column that are read ahead. A page of pictures, which
# is often a whole row group, is held at once all the same: pyarrow decodes no less.
_ROWS, _READ_AHEAD = 8, 1 << 20

Cells = dict[str, Any]
Pictures = Callable[[], "tuple[Image, ...]"]


class ParquetFile:
    """A parquet file, read a few rows at a time.

    Raises:
        InputError: it cannot be read.
        UsageError: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        need_packages("a parquet file", "parquet", "pyarrow")
        self.path = path
        with self._guarded(), self._open() as opened:
            self.columns: tuple[str, ...] = tuple(opened.schema_arrow.names)
        self._images = sorted(filter(_IMAGE.fullmatch, self.columns), key=_number)

    def rows(self, *, with_pictures: bool) -> Iterator[tuple[int, Cells, Pictures]]:
        """Number (from 1), cells but for the pictures, and what decodes the pictures.

        Raises:
            InputError: the file is damaged.
        """
        others = [name for name in self.columns if name not in self._images]
        wanted = list(self.columns) if with_pictures else others
        number = 0
        with self._guarded(), self._open() as opened:
            batches = opened.iter_batches(batch_size=_ROWS, columns=wanted, use_threads=False)
            for batch in batches:
                for cells in batch.to_pylist():
                    number += 1
                    pictures = [cells.pop(name, None) for name in self._images]
                    yield number, cells, self._pictures(number, pictures)

    def _pictures(self, number: int, cells: list[Any]) -> Pictures:
        where = f"{self.path}, row {number}"
        return lambda: decode_all(_files(cells, where), where)

    def _open(self) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetFile(self.path, pre_buffer=False, buffer_size=_READ_AHEAD)

    def _guarded(self) -> _Guard:
        return _Guard(self.path)


class _Guard:
    """Turns pyarrow's errors into one line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from pyarrow import ArrowException

        if isinstance(error, (ArrowException, OSError)):
            what = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise InputError(f"cannot read {self._path} as parquet: {what}") from error


def _files(cells: list[Any], where: str) -> list[bytes]:
    found: list[bytes] = []
    for cell in cells:
        if isinstance(cell, str):
            found += from_base64(cell, where)
        elif isinstance(cell, bytes):
            found.append(cell)
        elif isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes):
            found.append(cell["bytes"])
        elif cell is not None:
            raise InputError(f"{where}: image holds no bytes of a picture")
    if not found:
        raise InputError(f"{where}: image is empty")
    return found


def _number(column: str) -> int:
    return int(column.partition("_")[2] or 0)
