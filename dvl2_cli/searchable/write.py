"""A searchable copy of a document: its pages as they are, and the lines that were read of them."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from dvl2_cli import __version__
from dvl2_cli.errors import Dvl2Error, InputError, OutputError, UsageError
from dvl2_cli.files import atomic_write
from dvl2_cli.inputs.load import load_pictures
from dvl2_cli.inputs.sniff import is_pdf
from dvl2_cli.packages import need_packages
from dvl2_cli.results.ocr import OcrResult

_PLUGIN = "dvl2_cli.ocrmypdf_plugin"
_HEAD = 1024


def check_tools() -> None:
    """Refuse before anything is read what could not be written.

    Raises:
        UsageError: OCRmyPDF is not installed, or Tesseract, without which it does not start.
    """
    need_packages("-f pdf", "pdf", "ocrmypdf")
    if shutil.which("tesseract") is None:
        raise UsageError(
            "-f pdf needs the program tesseract: OCRmyPDF does not start without it, "
            "though dvl2 reads the pages",
            "Install it: apt install tesseract-ocr, brew install tesseract.",
        )


def write_searchable(path: Path, results: Mapping[int, OcrResult], target: Path) -> None:
    """Write ``path`` to ``target`` with the text of its pages.

    Text that a page has stays; what an earlier OCR hid there is replaced.

    Args:
        path: a PDF or a picture.
        results: page, from 1, to what was read of it.
        target: is replaced in one step.

    Raises:
        InputError: OCRmyPDF refuses the document.
        OutputError: it cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="dvl2-") as folder:
        source, made = Path(folder) / "in.pdf", Path(folder) / "out.pdf"
        _as_pdf(path, source)
        with _reading_from(results):
            _run(path, source, made)
        with atomic_write(target, "wb") as stream, made.open("rb") as written:
            shutil.copyfileobj(written, stream)


def _as_pdf(path: Path, target: Path) -> None:
    """``path`` as a PDF: itself, or its pictures upright and without loss."""
    with path.open("rb") as stream:
        if is_pdf(stream.read(_HEAD)):
            shutil.copyfile(path, target)
            return
    import img2pdf

    pages = []
    for picture in load_pictures(path):
        buffer = io.BytesIO()
        picture.image.save(buffer, "PNG")
        pages.append(buffer.getvalue())
    target.write_bytes(img2pdf.convert(pages))


@contextlib.contextmanager
def _reading_from(results: Mapping[int, OcrResult]) -> Iterator[None]:
    """Let the plugin answer from ``results``."""
    from dvl2_cli.searchable import engine

    before = engine.read_page, engine.creator
    engine.read_page = lambda _, page: results.get(page + 1)
    engine.creator = _creator(results)
    try:
        yield
    finally:
        engine.read_page, engine.creator = before


def _creator(results: Mapping[int, OcrResult]) -> str:
    """dvl2, the model that read, and what located the lines."""
    models = {result.model.id for result in results.values() if result.model is not None}
    places = {
        block.box_source
        for result in results.values()
        if result.text_source == "pixels"
        for block in result.blocks
        if block.box_source is not None
    }
    parts = [", ".join(sorted(models)), f"boxes: {', '.join(sorted(places))}" if places else ""]
    inside = "; ".join(part for part in parts if part)
    return f"dvl2 {__version__} ({inside})" if inside else f"dvl2 {__version__}"


def _run(path: Path, source: Path, target: Path) -> None:
    import ocrmypdf
    from ocrmypdf.exceptions import EncryptedPdfError, ExitCodeException

    logging.getLogger("ocrmypdf").setLevel(logging.CRITICAL)  # what goes wrong is raised
    try:
        ocrmypdf.ocr(
            source,
            target,
            plugins=[_PLUGIN],
            redo_ocr=True,
            output_type="pdf",
            optimize=0,
            progress_bar=False,
            jobs=1,
            use_threads=True,
            language=["eng"],
        )
    except EncryptedPdfError as error:
        raise InputError(
            f"{path} is protected, and OCRmyPDF cannot add text to it",
            "Save an unprotected copy first: qpdf --decrypt.",
        ) from error
    except Dvl2Error:
        raise
    except (ExitCodeException, ValueError, RuntimeError) as error:
        said = str(error).strip().splitlines()
        reason = said[0] if said else type(error).__name__
        raise OutputError(f"OCRmyPDF cannot add text to {path}: {reason}") from error
