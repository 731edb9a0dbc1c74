"""What the tests of this folder share: bytes in, pictures out."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

from PIL import Image

from dvl2_cli.inputs.load import load_pictures, read_all
from dvl2_cli.inputs.picture import Picture, Unreadable


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def read(tmp_path: Path, data: bytes, name: str = "a.bin") -> Picture:
    path = tmp_path / name
    path.write_bytes(data)
    (picture,) = load_pictures(path)
    assert picture.image.mode == "RGB"
    return picture


def read_each(tmp_path: Path, data: bytes, name: str = "a.bin") -> list[Picture | Unreadable]:
    path = tmp_path / name
    path.write_bytes(data)
    return list(read_all([path]))


def levels(picture: Picture) -> list[int]:
    """The red of the first row."""
    return [picture.image.getpixel((x, 0))[0] for x in range(picture.width)]  # type: ignore[index]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(png: bytes, *chunks: bytes, at_end: bool = False) -> bytes:
    """A PNG with ``chunks`` after its header, or before its end."""
    place = len(png) - 12 if at_end else 33
    return png[:place] + b"".join(chunks) + png[place:]
