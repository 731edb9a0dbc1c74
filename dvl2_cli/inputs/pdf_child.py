"""A process that renders the pages of one PDF for `dvl2_cli.inputs.pdf`.

A PDF may draw itself without end or ask for all memory, and PDFium aborts where it gets
none. Here that costs a page, not the run. Run as a script, so that nothing of dvl2 is
imported; messages are lines of JSON, followed by bytes where they say so.

    < {"path": …} or {"bytes": N} and N bytes; "password", "memory" (bytes), "most" (pages)
    > {"pages": as the document says, "found": looked for if more than "most"} or {"error": …}
    < {"page": index from 0, "scale": pixels a point, "pixels": limit, "seconds": limit}
    > {"size": [points], "scale": …, "width", "height", "stride", "lost": pictures} and
      stride x height bytes of RGB, or {"error": …}
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
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
        }
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


def _send(stream: IO[bytes], head: dict[str, Any], body: bytes = b"") -> None:
    stream.write(json.dumps(head).encode() + b"\n")
    stream.write(body)
    stream.flush()


if __name__ == "__main__":
    main()
