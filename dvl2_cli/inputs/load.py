"""The entry points: arguments of a command line to pictures, one at a time."""

from __future__ import annotations

import hashlib
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dvl2_cli.errors import InputError
from dvl2_cli.files import keep_input
from dvl2_cli.inputs.decode import decode_pages
from dvl2_cli.inputs.fetch import (
    clipboard,
    decode_data_url,
    download,
    is_data_url,
    shown_data_url,
)
from dvl2_cli.inputs.pages import PageRanges
from dvl2_cli.inputs.pdf import DEFAULT_DPI, render_pages
from dvl2_cli.inputs.picture import InputLimits, Picture, PictureMemoryError, Unreadable
from dvl2_cli.inputs.pipes import read_pipe
from dvl2_cli.inputs.plugins import read_with_plugin
from dvl2_cli.inputs.sniff import PDF_MAGIC, is_pdf, looks_like_text
from dvl2_cli.inputs.sources import STDIN, InputSource, find_sources
from dvl2_cli.inputs.upright import upright_rgb
from dvl2_cli.inputs.urls import is_url
from dvl2_cli.urls import without_login

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Reading:
    """How inputs are read: which pages, how sharp PDF pages are, what is allowed.

    ``password`` opens protected PDFs. ``text_layers`` gives their pages their text layers too.
    ``public_only`` refuses URLs of private addresses.
    """

    pages: PageRanges | None = None
    dpi: int = DEFAULT_DPI
    limits: InputLimits = field(default_factory=InputLimits)
    offline: bool = False
    public_only: bool = False
    password: str | None = field(default=None, repr=False)
    text_layers: bool = False

    def within(self, memory_bytes: int | None) -> Reading:
        """The same, where decoding a picture may take so much memory; None for no limit."""
        return replace(self, limits=replace(self.limits, memory_bytes=memory_bytes))


def load_pictures(
    *sources: str | Path, recursive: bool = False, reading: Reading | None = None
) -> Iterator[Picture]:
    """Pictures from paths, folders, globs, URLs, data URLs or "-" (stdin), in order.

    Raises:
        InputError: at the first input, or page of one, that cannot be read.
    """
    for found in find_sources(sources, recursive=recursive):
        pictures = [found] if isinstance(found, Unreadable) else read_pictures(found, reading)
        for picture in pictures:
            if isinstance(picture, Unreadable):
                raise picture.error
            yield picture


def read_all(
    sources: Iterable[str | Path],
    *,
    recursive: bool = False,
    reading: Reading | None = None,
    stdin: BinaryIO | None = None,
) -> Iterator[Picture | Unreadable]:
    """As `load_pictures`, but what cannot be read is yielded in its place and the rest follows."""
    for found in find_sources(sources, recursive=recursive, stdin=stdin):
        if isinstance(found, Unreadable):
            yield found
        else:
            yield from read_pictures(found, reading, stdin=stdin)


def read_pictures(
    source: InputSource, reading: Reading | None = None, *, stdin: BinaryIO | None = None
) -> Iterator[Picture | Unreadable]:
    """Every page of one source; never raises InputError."""
    reading = reading or Reading()
    name = _shown(source)
    try:
        if source.is_file:
            yield from _from_file(Path(source.name), reading)
        else:
            data = _bytes_of(source, reading, stdin)
            yield from _from_bytes(data, name, _digest(data), reading)
    except InputError as error:
        yield Unreadable(name, None, error)
    except MemoryError:
        yield Unreadable(name, None, PictureMemoryError(f"there is not enough memory for {name}"))


def read_bytes(
    data: bytes, name: str, reading: Reading | None = None
) -> Iterator[Picture | Unreadable]:
    """Every page of a file that is in memory; ``name`` is what it is called."""
    try:
        yield from _from_bytes(data, name, _digest(data), reading or Reading())
    except InputError as error:
        yield Unreadable(name, None, error)
    except MemoryError:
        yield Unreadable(name, None, PictureMemoryError(f"there is not enough memory for {name}"))


def _shown(source: InputSource) -> str:
    """What results and messages call a source: no megabytes of data, no login."""
    if is_data_url(source.name):
        return shown_data_url(source.name)
    return without_login(source.name) if is_url(source.name) else source.name


def picture_of(image: Image) -> Picture:
    """An image that is in memory, as it would be read from a file: upright, RGB, on white."""
    rgb, turned, notes = upright_rgb(image)
    digest = _digest(rgb.tobytes())
    return Picture(rgb, "image", digest, orientation_applied=turned, notes=tuple(notes))


def clipboard_pictures(reading: Reading | None = None) -> Iterator[Picture]:
    """The picture on the clipboard, or the files copied there.

    Raises:
        InputError: no picture, or no access to the clipboard.
    """
    found = clipboard()
    if isinstance(found, list):
        yield from load_pictures(*found, reading=reading)
        return
    rgb, turned, notes = upright_rgb(found)
    digest = _digest(rgb.tobytes())
    yield Picture(rgb, "clipboard", digest, orientation_applied=turned, notes=tuple(notes))


def _bytes_of(source: InputSource, reading: Reading, stdin: BinaryIO | None) -> bytes:
    if is_url(source.name):
        return download(
            source.name,
            reading.limits,
            offline=reading.offline,
            public_only=reading.public_only,
        )
    if is_data_url(source.name):
        return decode_data_url(source.name, reading.limits)
    limit = reading.limits.file_bytes
    rest = (stdin or sys.stdin.buffer).read(limit + 1)
    return _within_limit((source.head or b"") + rest, STDIN, limit)


def _from_file(path: Path, reading: Reading) -> Iterator[Picture | Unreadable]:
    name = str(path)
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise InputError(f"{name} is a folder")
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise InputError(f"{name} is a device or a socket, not a file")
        keep_input(path)
        if stat.S_ISFIFO(kind):
            limit = reading.limits.file_bytes
            data = read_pipe(path, limit + 1, reading.limits.pipe_seconds)
            data = _within_limit(data, name, limit)
            yield from _from_bytes(data, name, _digest(data), reading)
            return
        with path.open("rb") as stream:
            head = stream.peek(1024)[:1024]
            on_disk = head.startswith(PDF_MAGIC)
            if on_disk:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                data = b""
            else:
                data = _within_limit(
                    stream.read(reading.limits.file_bytes + 1), name, reading.limits.file_bytes
                )
                digest = _digest(data)
    except OSError as error:
        raise _cannot_read(name, error) from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{name!r} is not a file name") from error
    if on_disk:
        # A PDF stays on disk: pdfium reads the parts that each page needs.
        yield from _pdf(path, name, digest, reading)
    else:
        yield from _from_bytes(data, name, digest, reading)


def _from_bytes(
    data: bytes, name: str, digest: str, reading: Reading
) -> Iterator[Picture | Unreadable]:
    if not data:
        raise InputError(f"{name} is empty (0 bytes)")
    if data.startswith(PDF_MAGIC):
        yield from _pdf(data, name, digest, reading)
        return
    try:
        yield from decode_pages(data, name, digest, reading.pages, reading.limits)
    except InputError as unknown:
        if is_pdf(data[:1024]) and not looks_like_text(data[:1024]):
            yield from _pdf(data, name, digest, reading)
        elif (images := read_with_plugin(name, data)) is not None:
            yield from _plugin_pages(images, name, digest, unknown)
        else:
            raise


def _plugin_pages(
    images: Iterator[Image], name: str, digest: str, unknown: InputError
) -> Iterator[Picture]:
    try:
        for page, image in enumerate(images, 1):
            rgb, turned, notes = upright_rgb(image)
            yield Picture(rgb, name, digest, page, None, turned, tuple(notes))
    except InputError as error:
        raise error from unknown


def _pdf(
    source: Path | bytes, name: str, digest: str, reading: Reading
) -> Iterator[Picture | Unreadable]:
    return render_pages(
        source,
        name,
        digest,
        pages=reading.pages,
        dpi=reading.dpi,
        limits=reading.limits,
        password=reading.password,
        text=reading.text_layers,
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _within_limit(data: bytes, name: str, limit: int) -> bytes:
    if len(data) > limit:
        raise InputError(f"{name} is over {limit // 2**20} MiB", "Shrink it first.")
    return data


def _cannot_read(name: str, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"no such file: {name}")
    return InputError(f"cannot read {name}: {error.strerror or error}")
