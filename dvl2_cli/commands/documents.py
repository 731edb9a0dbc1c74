"""Where the pages that ``dvl2 ocr`` read go: stdout, or one file for each document."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from dvl2_cli.commands.reporter import Reporter
from dvl2_cli.errors import OutputError
from dvl2_cli.files import atomic_write
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.results import OcrResult, Source
from dvl2_cli.writers.collisions import refuse_picture
from dvl2_cli.writers.folder import make_folder
from dvl2_cli.writers.names import UniqueNames, stem_of
from dvl2_cli.writers.pages import JsonWriter, PageWriter, TextWriter
from dvl2_cli.writers.target import OutputTarget

if TYPE_CHECKING:
    from typing import Any


def document_names(folder: Path, suffix: str, paths: Iterable[str]) -> Iterator[Path]:
    """The files that documents at ``paths`` are written to; fewer where some fail."""
    names = UniqueNames()
    for path in paths:
        yield folder / f"{names.take(stem_of(Source(path)))}{suffix}"


class Documents:
    """Writes pages as they come. Pages of one document follow each other; a file appears
    when its document is complete, and a run that is killed leaves none half-written.
    """

    def __init__(
        self, writer: PageWriter, target: OutputTarget, reporter: Reporter, *, named: bool = False
    ) -> None:
        self._writer = writer
        self._folder, self._file = target.folder, target.file
        self._is_named = named
        self._reporter = reporter
        self._path: str | None = None
        self._index = 0
        self._names = UniqueNames()
        self._open: contextlib.ExitStack | None = None
        self._stream: IO[Any] | None = None
        self._streamed = ""
        self._headings = 0
        if self._folder is not None:
            make_folder(self._folder)

    def __enter__(self) -> Documents:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            if self._reporter.interrupts.stop and not self._to_stdout and self._path is not None:
                self._reporter.console.note(f"stopped after {self._index} pages of {self._path}")
            self._finish_document()
        elif self._open is not None:
            # The temporary file of an incomplete document is removed.
            self._open.__exit__(kind, error, trace)

    @property
    def _to_stdout(self) -> bool:
        return self._folder is None and self._file is None

    @property
    def _on_terminal(self) -> bool:
        return self._to_stdout and self._reporter.output.is_tty

    def stream_to(self, found: Picture | Unreadable) -> Callable[[str], None] | None:
        """Where text may be shown as it comes: plain text on a terminal."""
        self._streamed = ""
        if not self._on_terminal:
            return None
        if type(self._writer) is not TextWriter or isinstance(found, Unreadable):
            return None

        follows = found.path == self._path

        def show(text: str) -> None:
            if not self._streamed:
                self._reporter.output.text("\n" if follows else self._heading(found.path))
            self._streamed += text
            self._reporter.output.text(text)

        return show

    def add(self, result: OcrResult) -> None:
        """Write one page; failed ones only where the format can say so."""
        if result.status == "failed" and not isinstance(self._writer, JsonWriter):
            return
        path = result.source.path if result.source else ""
        if path != self._path:
            self._finish_document()
            self._start_document(path, result)
        if self._streamed:
            self._reporter.output.end_line()
        if not self._is_shown(result):
            page = self._writer.page(result, self._index)
            if self._index == 0:
                page = self._heading(path) + page
            # A form feed would move the cursor of a terminal.
            self._write(page.replace("\f", "\n", 1) if self._on_terminal else page)
        self._index += 1

    def _heading(self, path: str) -> str:
        """The document's name above its text, where several follow each other on a terminal."""
        if not (self._is_named and self._on_terminal and type(self._writer) is TextWriter):
            return ""
        blank = "\n" if self._headings else ""
        self._headings += 1
        return f"{blank}{path}:\n"

    def _is_shown(self, result: OcrResult) -> bool:
        """Whether the text that streamed is the page's, and not that of a reading given up."""
        if result.quality.retries == 0:
            return bool(self._streamed)
        return self._streamed.strip() == result.text.strip() != ""

    def _start_document(self, path: str, result: OcrResult) -> None:
        self._path, self._index = path, 0
        if self._file is not None:
            self._open = contextlib.ExitStack()
            self._stream = self._open.enter_context(atomic_write(self._file))
        elif self._folder is not None:
            source = result.source
            # The file is named after the document, not after its first page.
            stem = stem_of(source).removesuffix(f".p{source.page}") if source else "result"
            target = self._folder / f"{self._names.take(stem)}{self._writer.suffix}"
            refuse_picture(target, OutputError)
            self._open = contextlib.ExitStack()
            self._stream = self._open.enter_context(atomic_write(target))
        self._write(self._writer.head(path))

    def _finish_document(self) -> None:
        # Left by the file's own clean-up too if the foot cannot be written.
        with self._open or contextlib.nullcontext():
            if self._path is not None:
                self._write(self._writer.foot())
        self._path, self._open, self._stream = None, None, None

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._stream is not None:
            self._stream.write(text.encode("utf-8", "replace").decode("utf-8"))
        else:
            self._reporter.output.text(text)
