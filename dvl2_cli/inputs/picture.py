"""A picture that was read, and an input that could not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dvl2_cli.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.inputs.text_layer import TextLayer


class PictureMemoryError(InputError):
    """A picture that would take more memory than there is, or than is allowed."""

    exit_code: ClassVar[int] = 4
    code: ClassVar[str] = "oom"


@dataclass(frozen=True, slots=True)
class InputLimits:
    """What an input may cost before it is decoded.

    ``file_bytes`` and ``pixels`` are per picture, ``download_bytes`` and
    ``download_seconds`` per URL, ``pages`` per document, ``pipe_seconds`` until somebody
    writes to a pipe. ``page_pixels``, ``page_seconds``
    and ``page_bytes`` (of memory) are for rendering one page of a PDF, ``page_characters`` for
    its text layer. ``memory_bytes`` is
    what decoding and preparing a picture may take here, None for no limit. The pixel limit
    is the size at which Pillow itself calls a picture a decompression bomb.
    """

    file_bytes: int = 512 * 2**20
    pixels: int = 178_956_970
    pages: int = 10_000
    download_bytes: int = 64 * 2**20
    download_seconds: float = 60.0
    pipe_seconds: float = 10.0
    page_pixels: int = 64_000_000
    page_seconds: float = 60.0
    page_bytes: int = 2 * 2**30
    page_characters: int = 100_000
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """An RGB picture as a person would see it: upright, on white, 8 bits.

    ``path`` is what the user wrote or the folder listing gave ("-" for stdin, a URL as
    written). ``sha256`` is of the file's bytes, so all pages of a document share it.
    ``page`` is 1-based and None for a file with one picture; ``pages`` is how many are read of
    its document. ``frame`` is the 0-based frame that was read of an animation. ``notes`` say
    what the user should know about the reading.
    """

    image: Image
    path: str
    sha256: str
    page: int | None = None
    frame: int | None = None
    orientation_applied: bool = False
    notes: tuple[str, ...] = ()
    text_layer: TextLayer | None = None
    pages: int = 1

    @property
    def width(self) -> int:
        """Pixels across, of the upright picture."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels down, of the upright picture."""
        return self.image.height


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An input, or one page of it, that could not be read, and why."""

    path: str
    page: int | None
    error: InputError
    sha256: str | None = None
