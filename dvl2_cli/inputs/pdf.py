"""PDF pages as pictures, rendered one at a time in a process of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.decode import selected_pages
from dvl2_cli.inputs.memory import page_pixels
from dvl2_cli.inputs.pages import ALL_PAGES, PageRanges
from dvl2_cli.inputs.picture import InputLimits, Picture, Unreadable
from dvl2_cli.inputs.text_layer import TextLayer, layer_of

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_DPI = 200
_POINTS_PER_INCH = 72
_CHILD = Path(__file__).with_name("pdf_child.py")


class _GoneError(Exception):
    """The child ended instead of answering; the message says why."""


class _LateError(_GoneError):
    """It was ended because it took too long."""


def render_pages(
    source: Path | bytes,
    path: str,
    sha256: str,
    *,
    pages: PageRanges | None,
    dpi: int,
    limits: InputLimits,
    password: str | None = None,
    text: bool = False,
) -> Iterator[Picture | Unreadable]:
    """The chosen pages at ``dpi`` dots per inch; a page that fails does not end the document.

    ``text`` asks for their text layers too.

    Raises:
        InputError: damaged, protected by a password, without pages, or over the page limit.
    """
    renderer = _Renderer(source, path, password, limits)
    try:
        stated, count = renderer.open()
        if stated == 0:
            raise InputError(f"{path} is a PDF without pages")
        chosen = len(list((pages or ALL_PAGES).select(min(count, limits.pages))))
        for page in selected_pages(path, pages, count, limits):
            if isinstance(page, Unreadable):
                yield page
                continue
            try:
                image, notes, layer = renderer.render(page, dpi, text=text)
            except InputError as error:
                yield Unreadable(path, page, error, sha256)
            else:
                yield Picture(
                    image, path, sha256, page, notes=notes, text_layer=layer, pages=chosen
                )
        if count < stated and pages is None:
            lie = InputError(f"{path} says that it has {stated} pages, and {count} are there")
            yield Unreadable(path, count + 1, lie, sha256)
    finally:
        renderer.close()


class _Renderer:
    """A child process that holds the document; started anew where a page brought it down."""

    def __init__(
        self, source: Path | bytes, path: str, password: str | None, limits: InputLimits
    ) -> None:
        self._source = source
        self._path = path
        self._password = password
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._served = False

    def open(self) -> tuple[int, int]:
        """Start the child.

        Returns:
            the number of pages that the document says it has, and that it has; they are the
            same up to the limit of pages, where missing ones fail one by one.

        Raises:
            InputError: damaged, or protected by a password.
        """
        first: dict[str, Any] = {
            "password": self._password,
            "memory": self._limits.page_bytes,
            "most": self._limits.pages,
        }
        body = b""
        if isinstance(self._source, bytes):
            body = self._source
            first["bytes"] = len(body)
        else:
            first["path"] = str(self._source)
        # What this process can import, the child can: it may have been started in other ways.
        paths = os.pathsep.join(entry for entry in sys.path if entry)
        try:
            self._child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": paths},
            )
        except OSError as error:
            raise InputError(f"cannot start the process that reads PDFs: {error}") from error
        try:
            answer, _ = self._ask(first, body)
        except _GoneError as error:
            raise InputError(f"{self._path} is a damaged PDF ({error})") from error
        if "error" in answer:
            raise self._unopened(str(answer["error"]))
        return int(answer["pages"]), int(answer["found"])

    def render(
        self, page: int, dpi: int, *, text: bool
    ) -> tuple[Image, tuple[str, ...], TextLayer | None]:
        """A page, what the user should know about it, and its text layer if it is wanted.

        Raises:
            InputError: the page cannot be rendered, or costs more than is allowed.
        """
        request = {
            "page": page - 1,
            "scale": dpi / _POINTS_PER_INCH,
            "pixels": page_pixels(self._limits),
            "seconds": self._limits.page_seconds,
            "text": text,
            "characters": self._limits.page_characters,
        }
        try:
            answer, body = self._ask_afresh(request)
        except _GoneError as error:
            raise InputError(f"{self._path} page {page} cannot be rendered: {error}") from error
        if "error" in answer:
            reason = answer["error"]
            raise InputError(f"{self._path} page {page} cannot be rendered ({reason})")
        found = answer["text"]
        return *self._picture(page, dpi, answer, body), None if found is None else layer_of(found)

    def _ask_afresh(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
        """The answer, if need be of a new child: earlier pages may have used up the memory."""
        if self._child is not None and self._served:
            try:
                return self._ask(request)
            except _LateError:
                raise
            except _GoneError:
                pass
        if self._child is None:
            self.open()
        self._served = True
        return self._ask(request)

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        self._served = False
        if child is None:
            return
        child.kill()  # it holds nothing that is to be kept
        for stream in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                assert stream is not None  # noqa: S101  both are pipes
                stream.close()
        child.wait()

    def _ask(self, request: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytearray]:
        """The child's answer and the pixels that follow it."""
        child = self._child
        assert child is not None  # noqa: S101  the callers opened it
        assert child.stdin is not None  # noqa: S101  both are pipes
        assert child.stdout is not None  # noqa: S101
        late = threading.Event()

        def stop() -> None:
            late.set()
            child.kill()

        clock = threading.Timer(self._limits.page_seconds, stop)
        clock.start()
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n" + body)
            child.stdin.flush()
            answer = json.loads(child.stdout.readline() or "null")
            if answer is None:
                raise EOFError
            return answer, _exactly(child.stdout, answer.get("stride", 0) * answer.get("height", 0))
        except (EOFError, OSError, ValueError) as error:
            self.close()
            if late.is_set():
                seconds = f"{self._limits.page_seconds:g}"
                raise _LateError(f"it takes more than {seconds} seconds") from error
            gibibytes = self._limits.page_bytes / 2**30
            raise _GoneError(
                f"it is damaged or needs more than {gibibytes:g} GiB of memory"
            ) from error
        finally:
            clock.cancel()
            clock.join()

    def _picture(
        self, page: int, dpi: int, answer: dict[str, Any], body: bytearray
    ) -> tuple[Image, tuple[str, ...]]:
        from PIL import Image

        size = (answer["width"], answer["height"])
        image = Image.frombuffer("RGB", size, body, "raw", "RGB", answer["stride"], 1)
        notes = []
        used = answer["scale"] * _POINTS_PER_INCH
        if used < dpi * 0.995:
            notes.append(f"page {page} is very large: rendered at {used:.0f} instead of {dpi} dpi")
        if lost := answer["lost"]:
            pictures = "a picture" if lost == 1 else f"{lost} pictures"
            if all(low == high for low, high in image.getextrema()):  # type: ignore[misc]
                raise InputError(
                    f"{self._path} page {page} holds {pictures} that cannot be decoded, "
                    "and nothing else",
                    "Scan the page again, or convert it with another program.",
                )
            notes.append(f"{pictures} on page {page} cannot be decoded and is missing")
        return image, tuple(notes)

    def _unopened(self, reason: str) -> InputError:
        if "password" in reason.lower():
            if self._password is None:
                return InputError(f"{self._path} is protected by a password", "Add --password.")
            return InputError(f"the password does not open {self._path}", "Check --password.")
        return InputError(f"{self._path} is a damaged PDF ({reason})")


def _exactly(stream: IO[bytes], size: int) -> bytearray:
    """``size`` bytes of ``stream``.

    Raises:
        EOFError: it ends before.
    """
    found = bytearray(size)
    view, filled = memoryview(found), 0
    while filled < size:
        got = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        filled += got
    view.release()
    return found
