"""Pages that LibreOffice and pdflatex set; the truth is the PDF's text layer."""

from __future__ import annotations

import subprocess
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pypdfium2
from PIL import Image, ImageOps

from nano_lab.foreign.drawing.document import Word

_TIMEOUT_S = 300
_MARGIN_PX = 24
_LINE_END_HYPHENS = "\ufffe\x02"


def office_to_pdf(sources: Sequence[Path], folder: Path) -> None:
    """Convert flat OpenDocument files to PDFs of the same names in ``folder``.

    Raises:
        subprocess.CalledProcessError: LibreOffice failed.
    """
    with tempfile.TemporaryDirectory() as profile:
        command = ["soffice", f"-env:UserInstallation=file://{profile}", "--headless"]
        command += ["--convert-to", "pdf", "--outdir", str(folder), *map(str, sources)]
        subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)  # noqa: S603


def latex_to_pdf(source: Path, folder: Path) -> None:
    """Set ``source`` with pdflatex.

    Raises:
        subprocess.CalledProcessError: pdflatex failed.
    """
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error"]
    command += [f"-output-directory={folder}", str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)  # noqa: S603


def text_layer(pdf: Path) -> tuple[str, list[Word]]:
    """The first page's text in its own order, and its words with boxes in points, y down."""
    document = pypdfium2.PdfDocument(pdf)
    page = document[0]
    height = page.get_height()
    layer = page.get_textpage()
    words: list[Word] = []
    text, box = "", (0.0, 0.0, 0.0, 0.0)
    for index in range(layer.count_chars()):
        char = layer.get_text_range(index, 1)
        if not char.strip():
            if text:
                words.append(Word(text, box))
            text = ""
            continue
        left, bottom, right, top = layer.get_charbox(index, loose=True)
        here = (left, height - top, right, height - bottom)
        box = (
            (min(box[0], left), min(box[1], here[1]), right, max(box[3], here[3])) if text else here
        )
        if char in _LINE_END_HYPHENS:
            words.append(Word(text + "-", box))
            text = ""
            continue
        text += unicodedata.normalize("NFKC", char)
    if text:
        words.append(Word(text, box))
    document.close()
    return " ".join(word.text for word in words), words


def picture(pdf: Path, dpi: float, *, trim: bool) -> Image.Image:
    """The first page as a picture; without its white margins where ``trim``."""
    document = pypdfium2.PdfDocument(pdf)
    image: Image.Image = document[0].render(scale=dpi / 72).to_pil().convert("RGB")
    document.close()
    ink = ImageOps.invert(image.convert("L")).getbbox()
    if trim and ink:
        left, top, right, bottom = ink
        room = (left - _MARGIN_PX, top - _MARGIN_PX, right + _MARGIN_PX, bottom + _MARGIN_PX)
        return image.crop((max(0, room[0]), max(0, room[1]), *room[2:]))
    return image
