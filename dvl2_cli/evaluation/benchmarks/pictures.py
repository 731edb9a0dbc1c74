"""The bytes of a row's pictures to upright RGB pictures, with the limits of every other input."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.decode import decode_pages
from dvl2_cli.inputs.picture import InputLimits, Unreadable

if TYPE_CHECKING:
    from PIL.Image import Image

# The shortest picture is longer, and a row's index is not (VLMEvalKit has the same border).
MAX_REFERENCE_CHARACTERS = 64
_QUOTED = re.compile(r"""['"]([^'"]*)['"]""")


def decode_all(pictures: Sequence[bytes], where: str) -> tuple[Image, ...]:
    """The pictures, decoded.

    Args:
        pictures: files, as bytes.
        where: file and row, for messages.

    Raises:
        InputError: one is no picture, or over a limit.
    """
    return tuple(_decode(data, f"{where}, image {n}") for n, data in enumerate(pictures, 1))


def _decode(data: bytes, name: str) -> Image:
    limits = InputLimits()
    if not data:
        raise InputError(f"{name} is empty (0 bytes)")
    if len(data) > limits.file_bytes:
        raise InputError(f"{name} is over {limits.file_bytes // 2**20} MiB", "Shrink it first.")
    digest = hashlib.sha256(data).hexdigest()
    page = next(iter(decode_pages(data, name, digest, None, limits)))
    if isinstance(page, Unreadable):
        raise page.error
    return page.image


def from_base64(cell: str, where: str) -> list[bytes]:
    """The files in a cell: one in base64, or a list of them.

    Raises:
        InputError: a picture is not base64.
    """
    is_list = cell.startswith("[") and cell.endswith("]")
    texts = _QUOTED.findall(cell) if is_list else [cell]
    if not texts:
        raise InputError(f"{where}: the list of images is empty")
    found = []
    for number, text in enumerate(texts, 1):
        try:
            found.append(base64.b64decode(text.strip(), validate=True))
        except (binascii.Error, ValueError) as error:
            raise InputError(f"{where}, image {number} is not base64") from error
    return found
