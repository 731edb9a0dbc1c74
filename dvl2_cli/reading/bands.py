"""Cutting a long page into bands that overlap, through white rows where there are some."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

# A page of the A series is 1.41 times as high as wide; beyond this it is a strip.
_LONGEST_PAGE = 2.4
_BAND_ASPECT = 1.3
_OVERLAP = 0.15
_SEARCH = 0.06
_SMALLEST_BAND = 160


@dataclass(frozen=True, slots=True)
class Band:
    """Rows ``top`` to ``bottom`` (exclusive) of a page; it shares its first ``shared`` rows
    with the band before.
    """

    top: int
    bottom: int
    shared: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top


def is_long(size: tuple[int, int]) -> bool:
    """Whether a page (width, height) is too high to be read in one piece."""
    return size[1] > _LONGEST_PAGE * size[0] and size[1] > 2 * _SMALLEST_BAND


def strip_count(size: tuple[int, int]) -> int:
    """How many bands a long page is cut into."""
    return max(2, math.ceil(size[1] / (_BAND_ASPECT * size[0])))


def can_split(height: int, count: int) -> bool:
    """Whether ``count`` bands of a page would still be high enough to hold text."""
    return height / count >= _SMALLEST_BAND


def split(page: Image.Image, count: int) -> list[Band]:
    """``count`` bands that cover the page, neighbours sharing about 15 % of a band.

    Every edge inside the page lies on the emptiest row near its place, so that most lines
    of text are whole in at least one band.
    """
    height = page.height
    step = height / count
    ink = _ink_of_rows(page)
    reach = max(1, round(step * _SEARCH))
    overlap = step * _OVERLAP / 2
    bands: list[Band] = []
    for index in range(count):
        top = _emptiest(ink, step * index - overlap, reach) if index else 0
        bottom = (
            _emptiest(ink, step * (index + 1) + overlap, reach) if index < count - 1 else height
        )
        shared = bands[-1].bottom - top if bands else 0
        bands.append(Band(top, bottom, max(shared, 0)))
    return bands


def _ink_of_rows(page: Image.Image) -> np.ndarray:
    """Contrast of each row: standard deviation of its grey values."""
    grey_hw = np.asarray(page.convert("L"), dtype=np.float32)
    return np.asarray(grey_hw.std(axis=1))


def _emptiest(ink: np.ndarray, place: float, reach: int) -> int:
    """The middle of the longest run of rows with the least ink within ``reach`` of ``place``."""
    low = max(round(place) - reach, 1)
    high = min(round(place) + reach + 1, len(ink) - 1)
    if low >= high:
        return int(min(max(round(place), 1), len(ink) - 1))
    rows = ink[low:high]
    empty = rows <= rows.min() + 1.0
    best_length, best_middle, start = 0, low, -1
    for index, is_empty in enumerate([*empty, False]):
        if is_empty and start < 0:
            start = index
        elif not is_empty and start >= 0:
            if index - start > best_length:
                best_length, best_middle = index - start, low + (start + index) // 2
            start = -1
    return int(best_middle)
