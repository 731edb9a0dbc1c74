"""Cutting a page into bands: through white rows where there are some, else they overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dvl2_cli.planning.print_size import ink_of

# A page of the A series is 1.41 times as high as wide; beyond this it is a strip.
_LONGEST_PAGE = 2.4
_BAND_ASPECT = 1.3
_OVERLAP = 0.15
_SEARCH = 0.08
_SMALLEST_BAND = 160
_MIN_WIDTH = 8
# Every band is a question: a page beyond this is shrunk rather than asked about for hours.
_MAX_STRIPS = 256


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

    def of(self, page: Image.Image) -> Image.Image:
        """The part of ``page``."""
        return page.crop((0, self.top, page.width, self.bottom))


def is_long(size: tuple[int, int]) -> bool:
    """Whether a page (width, height) is too high to be read in one piece.

    One narrower than a letter holds nothing that pieces would show better.
    """
    width, height = size
    return width >= _MIN_WIDTH and height > max(_LONGEST_PAGE * width, 2 * _SMALLEST_BAND)


def strip_count(size: tuple[int, int]) -> int:
    """How many bands a long page is cut into; each is high enough to hold text."""
    count = math.ceil(size[1] / (_BAND_ASPECT * size[0]))
    return max(2, min(count, size[1] // _SMALLEST_BAND, _MAX_STRIPS))


def can_split(height: int, count: int) -> bool:
    """Whether ``count`` bands of a page would still be high enough to hold text."""
    return height / count >= _SMALLEST_BAND


def split(page: Image.Image, count: int) -> list[Band]:
    """``count`` bands that cover the page.

    Where rows without ink lie near an edge, neighbours meet there. Where none do, as in a slanted
    photo, they share about 15 % of a band, so that most lines are whole in at least one.
    """
    height = page.height
    if count == 1:
        return [Band(0, height, 0)]
    step = height / count
    contrast = _contrast_of_rows(page)
    inked = np.asarray(ink_of(page).any(axis=1))
    reach = max(1, round(step * _SEARCH))
    overlap = step * _OVERLAP / 2
    bands: list[Band] = []
    top = shared = 0
    for index in range(1, count):
        bottom = next_top = _emptiest(contrast, step * index, reach)
        if inked[max(bottom - 1, 0) : bottom + 2].any():
            bottom = _emptiest(contrast, step * index + overlap, reach)
            next_top = _emptiest(contrast, step * index - overlap, reach)
        bands.append(Band(top, bottom, shared))
        top, shared = next_top, max(bottom - next_top, 0)
    bands.append(Band(top, height, shared))
    return bands


def _contrast_of_rows(page: Image.Image) -> np.ndarray:
    """Contrast of each row: standard deviation of its grey values."""
    grey_hw = np.asarray(page.convert("L"), dtype=np.float32)
    return np.asarray(grey_hw.std(axis=1))


def _emptiest(contrast: np.ndarray, place: float, reach: int) -> int:
    """The middle of the longest run of rows with the least contrast, near ``place``."""
    low = max(round(place) - reach, 1)
    high = min(round(place) + reach + 1, len(contrast) - 1)
    if low >= high:
        return int(min(max(round(place), 1), len(contrast) - 1))
    rows = contrast[low:high]
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
