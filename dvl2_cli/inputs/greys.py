"""Greys of more than 8 bits to 8 bits, by the white point that the file means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

WIDE_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})

_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE_VALUE, _SAMPLE_FORMAT = 258, 262, 281, 339
_MIN_IS_WHITE = 0
# White points that writers use: bilevel, 4, 8, 10, 12, 14 and 16 bits.
_WHITE_POINTS = (1, 15, 255, 1023, 4095, 16383, 65535)
_USUAL_WHITE_POINTS = (1, 255, 65535)
# A picture that stays under this share of its range is one of fewer bits.
_DARK_SHARE = 0.25
# Fewer levels of 255 than this cannot be read; white paper above the second is no such picture.
_MIN_SPREAD, _PAPER = 32.0, 224.0
_STRIP_PIXELS = 2**20  # keeps the floating-point copies small


@dataclass(frozen=True, slots=True)
class _Range:
    low: float
    high: float
    whole_numbers: bool


def eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """A picture of one of `WIDE_MODES` as mode "L"; ``notes`` gets what was assumed.

    The white point is the declared one unless the values stay under a quarter of it: then
    it is the next smaller one in use (12 bits in 16, a mask of 0 and 1). Values below zero,
    above 65535, or in too narrow a band are stretched. A TIFF whose least value means white
    is inverted.
    """
    tags = getattr(image, "tag_v2", {})
    unsigned = _tag(tags, _SAMPLE_FORMAT) == 1
    found = _range_of(image, unsigned)
    low, high = _ends(found, _declared_white(image.mode, tags), notes)
    inverted = _tag(tags, _PHOTOMETRIC) == _MIN_IS_WHITE
    eight = Image.new("L", image.size)
    for top, values in _strips(image, unsigned):
        values = np.nan_to_num(
            values.astype(np.float32), nan=found.low, posinf=found.high, neginf=found.low
        )
        levels = np.clip((values - low) * (255.0 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
        eight.paste(Image.fromarray(255 - levels if inverted else levels), (0, top))
    return eight


def key_alpha(image: Image.Image) -> Image.Image | None:
    """The alpha (L) of a picture of one of `WIDE_MODES` that calls one grey transparent."""
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return None
    alpha = Image.new("L", image.size)
    for top, values in _strips(image, unsigned=False):
        alpha.paste(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)), (0, top))
    return alpha


def _strips(image: Image.Image, unsigned: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Some rows at a time, [H, W] each, with the number of their first."""
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(image.height, top + rows))
        values = np.asarray(image.crop(box))
        if values.dtype == np.int32 and unsigned:
            values = values.view(np.uint32)  # Pillow keeps unsigned values in signed ones
        yield top, values


def _tag(tags: object, number: int) -> int | None:
    """A numeric TIFF tag, the first value where it has several."""
    value = tags.get(number) if hasattr(tags, "get") else None
    if isinstance(value, tuple):
        value = value[0] if value else None
    return value if isinstance(value, int) else None


def _range_of(image: Image.Image, unsigned: bool) -> _Range:
    low, high, whole = np.inf, -np.inf, True
    for _, values in _strips(image, unsigned):
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
            whole = whole and bool(np.array_equal(values, np.round(values)))
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return _Range(low, high, whole) if low <= high else _Range(0.0, 0.0, True)


def _declared_white(mode: str, tags: object) -> int | None:
    """The white point that the file states, or None where it states none."""
    if mode in ("I", "F"):
        return None
    bits = _tag(tags, _BITS_PER_SAMPLE) or 16
    largest = _tag(tags, _MAX_SAMPLE_VALUE) or 0
    return largest if 255 < largest < 2**bits else 2**bits - 1


def _ends(found: _Range, declared: int | None, notes: list[str]) -> tuple[float, float]:
    """The values that become 0 and 255."""
    if found.low < 0 or found.high > max(declared or 0, 65535):
        notes.append(f"grey values {found.low:g}..{found.high:g} were scaled to 0..255")
        return found.low, found.high if found.high > found.low else found.low + 1.0
    white = _white_point(found, declared)
    spread, paper = (found.high - found.low) * 255 / white, found.low * 255 / white
    if 0 < spread < _MIN_SPREAD and paper < _PAPER:
        notes.append(
            f"grey values {found.low:g}..{found.high:g} of {white} hardly differ: scaled to 0..255"
        )
        return found.low, found.high
    if white != (declared or white) or (declared is None and white not in _USUAL_WHITE_POINTS):
        notes.append(f"grey values end at {found.high:g}: {white} was taken for white")
    return 0.0, float(white)


def _white_point(found: _Range, declared: int | None) -> int:
    if declared is not None and (found.high > declared * _DARK_SHARE or found.high <= 0):
        return declared
    points = _WHITE_POINTS if found.whole_numbers else _USUAL_WHITE_POINTS
    return next(point for point in points if found.high <= point)
