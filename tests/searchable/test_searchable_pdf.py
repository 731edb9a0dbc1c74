"""Searchable PDFs: lines lie where they were found, and everything else stays as it is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFont

from dvl2_cli.engine.request import Request
from dvl2_cli.store.policy import Policy
from tests.commands.conftest import Cli, cli, picture
from tests.fakes import FakeEngine
from tests.inputs.pdfs import HELVETICA, LETTER, lines_of, pdf_of, stream

pytest.importorskip("ocrmypdf")
needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="OCRmyPDF does not start without tesseract"
)
__all__ = ["cli"]
READ = "Reminder to the Mill"


def line_reader() -> FakeEngine:
    """Reads every line as READ, and says where it was found."""

    def answer(request: Request) -> str:
        return "\n".join([READ] * (request.max_lines or 1))

    engine = FakeEngine(answer)
    engine.info = replace(engine.info, policy=Policy("lines", 26.0))
    return engine


def scan_with_old_text(hidden: str) -> bytes:
    """A page of 400 x 300 points: a picture of a line of print under invisible text, and a page
    of text.
    """
    image = Image.new("L", (800, 600), 255)
    ImageDraw.Draw(image).text((120, 200), "Rates are due", 0, ImageFont.load_default(40))
    keys = b"/Type /XObject /Subtype /Image /Width 800 /Height 600 /ColorSpace /DeviceGray"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] /Contents %d 0 R /Resources"
    page += b" << /Font << /F 3 0 R >> /XObject << /I 8 0 R >> >> >>"
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R 6 0 R] /Count 2 >>",
        HELVETICA,
        page % 5,
        stream(b"q 400 0 0 300 0 0 cm /I Do Q " + lines_of(hidden, before=b"3 Tr")),
        page % 7,
        stream(lines_of(*LETTER)),
        stream(image.tobytes(), keys + b" /BitsPerComponent 8"),
    )


def words_of(path: Path, page: int = 0) -> tuple[str, list[tuple[float, ...]]]:
    """Text of a page, and the rectangles that it lies in (left, bottom, right, top in points)."""
    document = pypdfium2.PdfDocument(path)
    text = document[page].get_textpage()
    rects = [text.get_rect(index) for index in range(text.count_rects())]
    found = text.get_text_bounded()
    text.close()
    document.close()
    return found, rects


@needs_tesseract
@pytest.mark.slow
def test_pages_get_their_lines_where_they_were_found(cli: Cli, tmp_path: Path) -> None:
    scan, out = tmp_path / "scan.pdf", tmp_path / "out.pdf"
    scan.write_bytes(scan_with_old_text("rubbish of an old OCR"))
    done = cli("ocr", scan, "-o", out, engine=line_reader())
    assert done.code == 0, done.err
    text, rects = words_of(out)
    assert text.strip() == READ
    left, bottom, right, top = rects[0][0], rects[0][1], rects[-1][2], rects[0][3]
    # The print begins 120 and 200 pixels from the corner, at two pixels a point.
    assert left == pytest.approx(60, abs=4)
    assert 100 < right < 240
    assert bottom < 188 < top < 206
    # The page that has text keeps it, and gets no second one.
    kept, _ = words_of(out, 1)
    assert kept.split() == " ".join(LETTER).split()
    creator = pypdfium2.PdfDocument(out).get_metadata_dict()["Creator"]
    assert "fake; boxes: lines" in creator


@needs_tesseract
@pytest.mark.slow
def test_a_picture_becomes_a_pdf_that_looks_the_same(cli: Cli, tmp_path: Path) -> None:
    page = picture(tmp_path / "page.png", "lightgrey", size=(300, 200))
    done = cli("ocr", page, "-f", "pdf", "-o", f"{tmp_path / 'results'}/", engine=line_reader())
    assert done.code == 0, done.err
    document = pypdfium2.PdfDocument(tmp_path / "results" / "page.pdf")
    shown = document[0].render(scale=300 / document[0].get_width()).to_pil().convert("RGB")
    with Image.open(page) as before:
        assert shown.getpixel((150, 100)) == before.convert("RGB").getpixel((150, 100))


@pytest.mark.parametrize(
    ("options", "said"),
    [(["-f", "pdf"], "-f pdf writes a file"), (["-o", "x.pdf"], "needs the place of every line")],
)
def test_what_cannot_be_written_is_refused_before_reading(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.chdir(tmp_path)
    engine = FakeEngine()
    done = cli("ocr", picture(tmp_path / "page.png"), *options, engine=engine)
    assert done.code == 2
    assert said in done.err
    assert not engine.requests


def test_a_missing_program_is_one_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    done = cli("ocr", picture(tmp_path / "page.png"), "-o", tmp_path / "x.pdf")
    assert done.code == 2
    assert "needs the program tesseract" in done.err
