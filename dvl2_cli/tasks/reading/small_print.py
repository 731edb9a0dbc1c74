"""How many bands a page has to be read in, for its print to be shown large enough.

All tiles together show so many pixels and no more: the print of a dense page, or of a large scan,
is then lower than a model reads that wants small print enlarged. A band of the page on as many
tiles shows it larger.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dvl2_cli.planning.print_size import SMALL, ink_of, print_height
from dvl2_cli.planning.tile_budget import GRIDS, TILE, most_tiles

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image

    from dvl2_cli.engine.request import Tiles

# Print of bands is shown at least so many pixels high, where tiles allow it, and so many times as
# large as that of the whole.
ENOUGH, WORTH = 16.0, 1.25
# More would be slivers of a picture that is no page.
MAX_BANDS = 24
# A space between columns is as wide as a line is high, and empty in so many of the lines.
_GUTTER_LINES = 0.6


def small_print_bands(page: Image, tiles: Tiles) -> int:
    """The fewest bands in which ``page`` shows its print large enough; 1 where it has none, all of
    it is legible on one canvas, bands would show it hardly larger, or would cut across columns.

    Args:
        page: upright RGB picture of any size.
        tiles: cap on the local tiles of a picture, as in ``Request``.
    """
    most = most_tiles(tiles)
    height = print_height(page)
    if height is None or most < 1:
        return 1
    width, length = page.size
    grids = [grid for grid in GRIDS if grid[0] * grid[1] <= most]
    whole = largest_scale(page.size, most)
    if height * whole >= SMALL or has_columns(page, height):
        return 1
    larger = [
        (columns * TILE / width, math.ceil(length * columns / (rows * width)))
        for columns, rows in grids
        if columns * TILE / width >= WORTH * whole
    ]
    if not larger:
        return 1
    enough = min(max(scale for scale, _ in larger), ENOUGH / height)
    return min(MAX_BANDS, *(count for scale, count in larger if scale >= enough))


def largest_scale(size: tuple[int, int], most: int) -> float:
    """How many times as large as it is a picture (width, height) is shown at most, on ``most``
    tiles, at least one.
    """
    return max(
        min(columns * TILE / size[0], rows * TILE / size[1])
        for columns, rows in GRIDS
        if columns * rows <= most
    )


def has_columns(page: Image, height: float) -> bool:
    """Whether in most lines there is print on both sides of one empty upright stripe."""
    ink = _ink_of_lines(page, height)
    wide = max(2, round(height))
    if len(ink) == 0 or ink.shape[1] <= 3 * wide:
        return False
    before = np.cumsum(ink, axis=1)
    empty = before[:, wide:-wide] == before[:, : -2 * wide]
    left = before[:, : -2 * wide] > 0
    right = before[:, -1:] > before[:, wide:-wide]
    return bool((empty & left & right).mean(axis=0).max(initial=0.0) >= _GUTTER_LINES)


def _ink_of_lines(page: Image, height: float) -> npt.NDArray[np.bool_]:
    """Where a stretch of about one line has ink, bool [stretches with ink, W]."""
    ink = ink_of(page)
    step = max(1, round(1.5 * height))
    ink = np.pad(ink, ((0, -len(ink) % step), (0, 0)))
    lines = np.asarray(ink.reshape(-1, step, ink.shape[1]).any(axis=1))
    return np.asarray(lines[np.asarray(lines.any(axis=1))])
