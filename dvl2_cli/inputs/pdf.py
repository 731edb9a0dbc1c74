"""PDF pages as pictures, rendered one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.decode import selected_pages
from dvl2_cli.inputs.pages import PageRanges
from dvl2_cli.inputs.picture import Limits, Picture, Unreadable

if TYPE_CHECKING:
    import pypdfium2

DEFAULT_DPI = 200
_POINTS_PER_INCH = 72
# pdfium keeps what it has parsed until its document is closed: a scan's pages would pile up.
_PAGES_AT_ONCE = 16


def render_pages(
    source: Path | bytes,
    path: str,
    sha256: str,
    *,
    pages: PageRanges | None,
    dpi: int,
    limits: Limits,
) -> Iterator[Picture | Unreadable]:
    """The chosen pages at ``dpi`` dots per inch; a page that fails does not end the document.

    Raises:
        InputError: damaged, protected by a password, without pages, or over the page limit.
    """
    document = _open(source, path)
    try:
        if len(document) == 0:
            raise InputError(f"{path} is a PDF without pages")
        for count, page in enumerate(selected_pages(path, pages, len(document), limits)):
            if isinstance(page, Unreadable):
                yield page
                continue
            if count and count % _PAGES_AT_ONCE == 0:
                document.close()
                document = _open(source, path)
            try:
                image, notes = _render(document, page, path, dpi, limits)
            except InputError as error:
                yield Unreadable(path, page, error, sha256)
            else:
                yield Picture(image, path, sha256, page, notes=notes)
    finally:
        document.close()


def _open(source: Path | bytes, path: str) -> pypdfium2.PdfDocument:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(source)
        document.init_forms()
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise InputError(
                f"{path} is protected by a password", "Save a copy without the password."
            ) from error
        raise InputError(f"{path} is a damaged PDF ({error})") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return document


def _render(
    document: pypdfium2.PdfDocument, number: int, path: str, dpi: int, limits: Limits
) -> tuple[Any, tuple[str, ...]]:
    import pypdfium2

    try:
        page = document[number - 1]
        try:
            scale, notes = _scale(page.get_size(), number, path, dpi, limits)
            bitmap = page.render(scale=scale, fill_color=(255, 255, 255, 255), rev_byteorder=True)
            try:
                # The copy outlives the bitmap, whose memory belongs to pdfium.
                image = bitmap.to_pil().convert("RGB").copy()
            finally:
                bitmap.close()
        finally:
            page.close()
    except (pypdfium2.PdfiumError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"{path} page {number} cannot be rendered ({error})") from error
    return image, notes


def _scale(
    size: tuple[float, float], number: int, path: str, dpi: int, limits: Limits
) -> tuple[float, tuple[str, ...]]:
    """Pixels per point, lowered where the page would exceed the pixel limit."""
    width, height = size
    if not (width > 0 and height > 0):
        raise InputError(f"{path} page {number} has no size")
    scale = dpi / _POINTS_PER_INCH
    pixels = (width * scale + 1) * (height * scale + 1)
    if pixels <= limits.pixels:
        return scale, ()
    lowered = scale * (limits.pixels / pixels) ** 0.5 * 0.99
    used = lowered * _POINTS_PER_INCH
    if min(width, height) * lowered < 1:
        raise InputError(
            f"{path} page {number} is {width:g} x {height:g} points: too long to render"
        )
    return lowered, (f"page {number} is very large: rendered at {used:.0f} instead of {dpi} dpi",)
