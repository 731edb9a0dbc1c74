"""Captions as one table: NDJSON, CSV or Parquet, whole or absent."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from dvl2_cli.files import atomic_write
from dvl2_cli.packages import need_packages
from dvl2_cli.results import CaptionResult, json_line
from dvl2_cli.results.lines import encodable
from dvl2_cli.writers.cells import csv_line
from dvl2_cli.writers.plugins import PluginWriter, find_writer

FORMATS = ("ndjson", "json", "csv", "parquet", "text")
COLUMNS = ("path", "page", "sha256", "width", "height", "status", "caption", "error")
_ROWS_AT_ONCE = 1000


class _Rows(Protocol):
    def add(self, result: CaptionResult) -> None: ...
    def finish(self) -> None: ...
    def abandon(self) -> None: ...


class CaptionTable:
    """Takes rows in order; the file appears, complete, when the block ends without an error."""

    def __init__(self, path: Path, form: str, *, named: bool = True) -> None:
        """``named`` puts the picture's path before a caption in text."""
        self._path = path
        self._form = form
        self._named = named
        self._stack = contextlib.ExitStack()
        self._rows: _Rows | None = None

    def __enter__(self) -> CaptionTable:
        if self._form == "parquet":
            data = self._stack.enter_context(atomic_write(self._path, "wb"))
            self._rows = _ParquetRows(data)
        else:
            text = self._stack.enter_context(atomic_write(self._path))
            self._rows = _text_rows(self._form, text, named=self._named)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._rows is not None  # noqa: S101  entered
        self._stack.callback(self._rows.abandon)
        if error is None:
            # Last in, first out: what fails here is met by the file's own clean-up.
            self._stack.callback(self._rows.finish)
        self._stack.__exit__(kind, error, trace)

    def add(self, result: CaptionResult) -> None:
        """Write one row."""
        assert self._rows is not None  # noqa: S101  entered
        self._rows.add(result)


def _text_rows(form: str, stream: IO[str], *, named: bool) -> _Rows:
    if form == "json":
        return _JsonRows(stream)
    if form == "text":
        return _TextRows(stream, named=named)
    if form == "csv":
        return _CsvRows(stream)
    if form == "ndjson":
        return _NdjsonRows(stream)
    return _PluginRows(stream, find_writer("caption", form, FORMATS))


def check_table_format(form: str) -> None:
    """Refuse unknown formats, and Parquet where pyarrow is missing.

    Raises:
        UsageError: so asked.
        OutputError: the format's plugin does not load.
    """
    if form not in FORMATS:
        find_writer("caption", form, FORMATS)
    if form == "parquet":
        need_packages("-f parquet", "parquet", "pyarrow")


def caption_line(result: CaptionResult, several: bool) -> str:
    """The caption for people; with its path where there are several."""
    text = f"skipped: {result.skipped}" if result.skipped else result.caption or ""
    path = result.source.path if result.source else ""
    return f"{path}: {text}\n" if several else f"{text}\n"


def cells(result: CaptionResult) -> tuple[Any, ...]:
    """The values of a row, in the order of ``COLUMNS``."""
    source = result.source
    where = (
        (encodable(source.path), source.page, source.sha256, source.width, source.height)
        if source
        else (None,) * 5
    )
    error = encodable(result.error.message) if result.error else None
    return (*where, result.status, result.caption, error)


class _NdjsonRows:
    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream

    def add(self, result: CaptionResult) -> None:
        self._stream.write(json_line(result.as_json()) + "\n")

    def finish(self) -> None:
        """Nothing is held back."""

    def abandon(self) -> None:
        """Nothing is held open."""


class _JsonRows(_NdjsonRows):
    """One JSON document: a list with an object for each picture."""

    _before = "["

    def add(self, result: CaptionResult) -> None:
        self._stream.write(f"{self._before}\n{json_line(result.as_json())}")
        self._before = ","

    def finish(self) -> None:
        self._stream.write("\n]\n" if self._before == "," else "[]\n")


class _TextRows(_NdjsonRows):
    def __init__(self, stream: IO[Any], *, named: bool) -> None:
        super().__init__(stream)
        self._named = named

    def add(self, result: CaptionResult) -> None:
        if result.status != "failed":
            self._stream.write(encodable(caption_line(result, self._named)))


class _CsvRows:
    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream
        stream.write(csv_line(COLUMNS))

    def add(self, result: CaptionResult) -> None:
        self._stream.write(csv_line(cells(result)))

    def finish(self) -> None:
        """Nothing is held back."""

    def abandon(self) -> None:
        """Nothing is held open."""


class _PluginRows:
    """Held until the end: a plugin gets all rows at once."""

    def __init__(self, stream: IO[str], writer: PluginWriter) -> None:
        self._stream = stream
        self._writer = writer
        self._held: list[CaptionResult] = []

    def add(self, result: CaptionResult) -> None:
        self._held.append(result)

    def finish(self) -> None:
        self._stream.write(self._writer.text(self._held))

    def abandon(self) -> None:
        """Nothing is held open."""


class _ParquetRows:
    def __init__(self, stream: IO[Any]) -> None:
        import pyarrow
        import pyarrow.parquet

        text, number = pyarrow.string(), pyarrow.int64()
        types = (text, number, text, number, number, text, text, text)
        self._schema = pyarrow.schema(list(zip(COLUMNS, types, strict=True)))
        self._writer = pyarrow.parquet.ParquetWriter(stream, self._schema)
        self._held: list[tuple[Any, ...]] = []

    def add(self, result: CaptionResult) -> None:
        self._held.append(cells(result))
        if len(self._held) >= _ROWS_AT_ONCE:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        # Else it would be closed when it is deleted, long after its file.
        self._writer.is_open = False

    def _flush(self) -> None:
        import pyarrow

        rows = [dict(zip(COLUMNS, row, strict=True)) for row in self._held]
        self._writer.write_table(pyarrow.Table.from_pylist(rows, self._schema))
        self._held = []
