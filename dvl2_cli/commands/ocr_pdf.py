"""``dvl2 ocr -f pdf``: every document as a PDF that can be searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from dvl2_cli.commands.reporter import Reporter
from dvl2_cli.errors import Dvl2Error, InputError, UsageError
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.results import OcrResult
from dvl2_cli.searchable.write import check_tools, write_searchable
from dvl2_cli.writers.folder import make_folder
from dvl2_cli.writers.names import UniqueNames
from dvl2_cli.writers.target import OutputTarget


@dataclass(frozen=True, slots=True)
class PdfForm:
    """What a PDF asks of the reading: the place of each line."""

    suffix: str = ".pdf"
    needs_boxes: bool = True


def check_pdf(target: OutputTarget) -> None:
    """Refuse what cannot work before any page is read.

    Raises:
        UsageError: no file or folder is named, or a program is missing.
    """
    if target.is_stdout:
        raise UsageError("-f pdf writes a file", "Name it: -o out.pdf, or a folder: -o results/.")
    check_tools()


class PdfDocuments:
    """Collects the pages of each document, and writes it when they are all read.

    A document of which a page failed is written too: that page just cannot be searched.
    """

    def __init__(self, target: OutputTarget, reporter: Reporter) -> None:
        self._target, self._reporter = target, reporter
        self._path: str | None = None
        self._results: dict[int, OcrResult] = {}
        self._names = UniqueNames()
        if target.folder is not None:
            make_folder(target.folder)

    def __enter__(self) -> PdfDocuments:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            return
        if self._reporter.interrupts.stop:
            if self._path is not None:
                self._reporter.console.note(f"stopped: {self._path} is not written")
            return
        self._finish()

    def stream_to(self, found: Picture | Unreadable) -> Callable[[str], None] | None:
        """None: nothing is shown as it comes."""
        del found
        return None

    def add(self, result: OcrResult) -> None:
        """Take one page."""
        if result.status == "failed" or result.source is None:
            return
        if result.source.path != self._path:
            self._finish()
            self._path = result.source.path
        self._results[result.source.page or 1] = result

    def _finish(self) -> None:
        path, results = self._path, self._results
        self._path, self._results = None, {}
        if path is None:
            return
        lost = sum(
            block.box is None
            for result in results.values()
            if result.text_source == "pixels"
            for block in result.blocks
        )
        if lost:
            self._reporter.console.warn(
                f"{path}: {lost} lines have no place on the page and cannot be searched"
            )
        try:
            if not Path(path).is_file():
                raise InputError(f"-f pdf copies a file, and {path} is none", "Save it first.")
            write_searchable(Path(path), results, self._file(path))
        except Dvl2Error as error:
            if error.fatal:
                raise
            first = next(iter(results.values()))
            self._reporter.count(OcrResult.failure(error, first.source, first.model))

    def _file(self, path: str) -> Path:
        if self._target.file is not None:
            return self._target.file
        assert self._target.folder is not None  # noqa: S101  check_pdf refused stdout
        return self._target.folder / f"{self._names.take(Path(path).stem)}.pdf"
