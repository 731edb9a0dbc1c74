"""A process that renders the pages of one PDF for `dvl2_cli.inputs.pdf`.

A PDF may draw itself without end or ask for all memory, and PDFium aborts where it gets
none. Here that costs a page, not the run. Run as a script, so that nothing of dvl2 is
imported; messages are lines of JSON, followed by bytes where they say so.

    < {"path": …} or {"bytes": N} and N bytes; "password", "memory" (bytes), "most" (pages)
    > {"pages": as the document says, "found": looked for if more than "most"} or {"error": …}
    < {"page": index from 0, "scale": pixels a point, "pixels": limit, "seconds": limit,
      "text": whether the text layer is wanted, "characters": most of them}
    > {"size": [points], "scale": …, "width", "height", "stride", "lost": pictures,
      "text": characters as in `_character`, or null where it is not wanted or too long} and
      stride x height bytes of RGB, or {"error": …}
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from typing import IO, Any

import pypdfium2
from pypdfium2 import raw

try:
    import resource
except ImportError:  # Windows: the parent's clock is the only limit
    resource = None  # type: ignore[assignment]

_ERRORS = (pypdfium2.PdfiumError, ValueError, OverflowError, MemoryError, OSError)
_MAX_FORM_DEPTH = 8
# PDFium keeps what it has parsed until its document is closed: a scan's pages would pile up.
_PAGES_AT_ONCE = 16


def main() -> None:
    """Serve the document that the first line names until stdin ends."""
    # Ctrl-C is the parent's to handle: it ends this process by closing stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints is no answer
    requests = sys.stdin.buffer
    first = json.loads(requests.readline())
    _limit_memory(first["memory"])
    try:
        source = first.get("path") or requests.read(first["bytes"])
        document = _opened(source, first.get("password"))
        pages = len(document)
        found = pages if pages <= first["most"] else _last_page(document, pages)
        _send(answers, {"pages": pages, "found": found})
    except _ERRORS as error:
        _send(answers, {"error": str(error)})
        return
    for served, line in enumerate(requests):
        request = json.loads(line)
        if served and served % _PAGES_AT_ONCE == 0:
            document.close()
            document = _opened(source, first.get("password"))
        # Should the parent be gone, the clock still ends this process.
        if hasattr(signal, "alarm"):
            signal.alarm(int(request["seconds"]) + 5)
        try:
            head, body = _rendered(document, request)
        except _ERRORS as error:
            head, body = {"error": str(error)}, b""
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        _send(answers, head, body)


def _opened(source: str | bytes, password: str | None) -> pypdfium2.PdfDocument:
    document = pypdfium2.PdfDocument(source, password=password)
    document.init_forms()
    return document


def _limit_memory(size: int) -> None:
    if resource is None:
        return
    for kind, limit in ((resource.RLIMIT_AS, size), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # a lower limit holds already
            resource.setrlimit(kind, (limit, limit))


def _last_page(document: pypdfium2.PdfDocument, count: int) -> int:
    """How many pages there are where ``count`` may be a lie: the last that loads, by halving."""
    low, high = 0, count
    while low < high:
        middle = (low + high + 1) // 2
        try:
            document[middle - 1].close()
            low = middle
        except pypdfium2.PdfiumError:
            high = middle - 1
    return low


def _rendered(
    document: pypdfium2.PdfDocument, request: dict[str, Any]
) -> tuple[dict[str, Any], bytes]:
    page = document[request["page"]]
    try:
        width, height = page.get_size()
        if not (width > 0 and height > 0):
            return {"error": "it has no size"}, b""
        scale = request["scale"]
        pixels = (width * scale + 1) * (height * scale + 1)
        if pixels > request["pixels"]:
            scale *= (request["pixels"] / pixels) ** 0.5 * 0.99
        if min(width, height) * scale < 1:
            return {"error": f"{width:g} x {height:g} points are too long"}, b""
        bitmap = page.render(scale=scale, fill_color=(255, 255, 255, 255), rev_byteorder=True)
        head = {
            "scale": scale,
            "width": bitmap.width,
            "height": bitmap.height,
            "stride": bitmap.stride,
            "lost": _lost_pictures(page),
            "text": None,
        }
        if request["text"]:
            head["text"] = _text(page, bitmap.width, bitmap.height, request["characters"])
        body = bytes(bitmap.buffer)
        bitmap.close()
        return head, body
    finally:
        page.close()


def _lost_pictures(page: pypdfium2.PdfPage) -> int:
    """How many pictures of the page PDFium cannot decode; it leaves them out without a word."""
    lost = 0
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=_MAX_FORM_DEPTH):
        try:
            lost += item.get_metadata().bits_per_pixel == 0
        except pypdfium2.PdfiumError:
            lost += 1
    return lost


Map = Callable[[float, float], tuple[float, float]]
_Box = tuple[float, float, float, float]
# Of the text of a page: filled or not, these modes leave no ink.
_INVISIBLE = {raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP}
# Distances smaller than this part of a pixel are none.
_DIGITS = 2


def _text(page: pypdfium2.PdfPage, width: int, height: int, most: int) -> list[list[Any]] | None:
    """The characters of the page's text layer in the file's order; None if they are too many."""
    text = page.get_textpage()
    try:
        count = raw.FPDFText_CountChars(text)
        if count > most:
            return None
        to_pixels = _to_pixels(page, width, height)
        covers = _covers(page)
        turn = math.radians(90 * raw.FPDFPage_GetRotation(page))
        return [_character(text, index, to_pixels, covers, turn) for index in range(count)]
    finally:
        text.close()


def _character(
    text: pypdfium2.PdfTextPage,
    index: int,
    to_pixels: Map,
    covers: dict[int, list[_Box]],
    turn: float,
) -> list[Any]:
    """[code point, left, top, right, bottom, top and bottom of its line, marks].

    The first box is around the ink, in pixels of the rendered page; the line's extent comes from
    the font. ``marks`` has a letter for each that holds: "g" PDFium made it (a space or a line
    break), "u" without Unicode, "h" a hyphen at the end of a line, "i" invisible, "c" under a
    picture that is drawn later, "t" turned.
    """
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    raw.FPDFText_GetCharBox(text, index, left, right, bottom, top)
    ink = _mapped((left.value, bottom.value, right.value, top.value), to_pixels)
    loose = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(text, index, loose)
    line = _mapped((loose.left, loose.bottom, loose.right, loose.top), to_pixels)
    marks = "g" if raw.FPDFText_IsGenerated(text, index) == 1 else ""
    marks += "u" if raw.FPDFText_HasUnicodeMapError(text, index) == 1 else ""
    marks += "h" if raw.FPDFText_IsHyphen(text, index) == 1 else ""
    item = raw.FPDFText_GetTextObject(text, index)
    if item:
        marks += "i" if raw.FPDFTextObj_GetTextRenderMode(item) in _INVISIBLE else ""
        address = ctypes.cast(item, ctypes.c_void_p).value or 0
        x, y = (left.value + right.value) / 2, (bottom.value + top.value) / 2
        hidden = any(a <= x <= c and b <= y <= d for a, b, c, d in covers.get(address, ()))
        marks += "c" if hidden else ""
    angle = (raw.FPDFText_GetCharAngle(text, index) - turn) % (2 * math.pi)
    marks += "t" if 0.1 < angle < 2 * math.pi - 0.1 else ""
    return [raw.FPDFText_GetUnicode(text, index), *ink, line[1], line[3], marks]


def _mapped(box: _Box, to_pixels: Map) -> _Box:
    """``box`` of the page (left, bottom, right, top in points) on the picture, in pixels."""
    (x1, y1), (x2, y2) = to_pixels(box[0], box[1]), to_pixels(box[2], box[3])
    return (
        round(min(x1, x2), _DIGITS),
        round(min(y1, y2), _DIGITS),
        round(max(x1, x2), _DIGITS),
        round(max(y1, y2), _DIGITS),
    )


def _to_pixels(page: pypdfium2.PdfPage, width: int, height: int) -> Map:
    """From points of the page, which may be turned or cropped, to pixels of its picture."""
    finer = 16  # PDFium answers in whole units

    def place(x: float, y: float) -> tuple[float, float]:
        across, down = ctypes.c_int(), ctypes.c_int()
        size = (width * finer, height * finer)
        raw.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, across, down)
        return across.value / finer, down.value / finer

    far = 1000.0
    (x0, y0), (xx, xy), (yx, yy) = place(0, 0), place(far, 0), place(0, far)

    def to_pixels(x: float, y: float) -> tuple[float, float]:
        return (
            x0 + (x * (xx - x0) + y * (yx - x0)) / far,
            y0 + (x * (xy - y0) + y * (yy - y0)) / far,
        )

    return to_pixels


def _covers(page: pypdfium2.PdfPage) -> dict[int, list[_Box]]:
    """Address of a piece of text -> the pictures that are drawn over the page after it."""
    pictures: list[_Box] = []
    covers: dict[int, list[_Box]] = {}
    kinds = [raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_TEXT]
    found = list(page.get_objects(filter=kinds, max_depth=_MAX_FORM_DEPTH))
    for item in reversed(found):
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            with contextlib.suppress(pypdfium2.PdfiumError):
                pictures.append(item.get_bounds())
        elif pictures:
            covers[ctypes.cast(item.raw, ctypes.c_void_p).value or 0] = list(pictures)
    return covers


def _send(stream: IO[bytes], head: dict[str, Any], body: bytes = b"") -> None:
    stream.write(json.dumps(head).encode() + b"\n")
    stream.write(body)
    stream.flush()


if __name__ == "__main__":
    main()
