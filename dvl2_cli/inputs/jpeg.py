"""JPEGs without their end: what is left of them, and how much is missing."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image

SIGNATURE = b"\xff\xd8\xff"

_END = b"\xff\xd9"
# Enough to reach every channel of some blocks; after them the level stays shifted.
_FILLING_BYTES = 4096
_REFINEMENT_LEVELS = 64
MIN_KEPT_SHARE = 0.1  # under this there is nothing to read
_SCALE = 8  # the decoder's fastest: one pixel for each block


def completed_jpeg(data: bytes) -> tuple[bytes, str] | None:
    """A JPEG that ends early, with an end mark.

    What depends on the missing bytes is found out: the file is decoded with several endings,
    and the rows that are the same in all of them are the picture's own.

    Returns:
        the JPEG and what is missing, in words; None where hardly a row is left.
    """
    data = data.rstrip(b"\xff")
    filling = bytes(byte for byte in random.Random(0).randbytes(_FILLING_BYTES) if byte != 0xFF)  # noqa: S311
    scan = data[data.rfind(b"\xff\xda") :]
    restarts = sum(scan.count(bytes((0xFF, mark))) for mark in range(0xD0, 0xD8))
    restart = bytes((0xFF, 0xD0 + restarts % 8))
    endings = (b"", filling, restart + filling)
    try:
        (first, progressive), *others = [_rows(data + ending + _END) for ending in endings]
    except (OSError, ValueError, SyntaxError):
        return None
    # Later passes of a progressive picture change every row a little.
    tolerance = _REFINEMENT_LEVELS if progressive else 0
    differing = [
        row
        for other, _ in others
        for row in np.flatnonzero((np.abs(first - other) > tolerance).any(axis=1))
    ]
    height = first.shape[0]
    kept = min(differing, default=height)
    if kept <= height * MIN_KEPT_SHARE:
        return None
    if kept < height:
        missing = missing_part(1 - kept / height)
    else:
        missing = "finer passes may be missing" if progressive else "only its end mark is missing"
    return data + _END, missing


def missing_part(share: float) -> str:
    """The share of a picture that is missing, in words."""
    return f"{max(share, 0.01):.0%} of the picture is missing"


def _rows(data: bytes) -> tuple[np.ndarray, bool]:
    """The picture at an eighth of its size, one flat row of samples each; if progressive."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        image.draft(image.mode, (image.width // _SCALE, image.height // _SCALE))
        image.load()
        samples = np.asarray(image).astype(np.int16)
        return samples.reshape(image.height, -1), bool(image.info.get("progressive"))
