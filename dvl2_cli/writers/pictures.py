"""Pictures to files: whole or absent, in the format that the file's name asks for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.errors import OutputError, UsageError
from dvl2_cli.files import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
}


def check_picture_name(path: Path) -> None:
    """Refuse a name whose suffix is no picture format, before any work is done.

    Raises:
        UsageError: so named.
    """
    if path.suffix.lower() not in _FORMATS:
        known = ", ".join(sorted(_FORMATS))
        raise UsageError(f"cannot write a picture called {path.name}", f"End it in one of {known}.")


def save_picture(image: Image, path: Path) -> None:
    """Write ``image`` to ``path``.

    Raises:
        OutputError: no space, no permission, or a size that the format cannot hold.
    """
    buffer = io.BytesIO()
    try:
        image.save(buffer, _FORMATS[path.suffix.lower()])
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {error}", "Write a .png instead.") from error
    with atomic_write(path, "wb") as stream:
        stream.write(buffer.getvalue())
