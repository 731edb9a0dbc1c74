"""The lines of print on a page, found by its ink: what was read can be counted against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dvl2_cli.planning.print_size import ink_of, runs_of

if TYPE_CHECKING:
    from PIL.Image import Image

# Of the distance between lines: fewer rows of ink are dirt, a comma or a dot.
_DIRT = 0.2
# Fewer lines tell nothing of how far apart they stand.
FEWEST = 3
# Two lines that touch are as high as this many distances, at least.
_TOUCHING = 1.6


def text_lines(page: Image) -> list[tuple[int, int]] | None:
    """Rows (first, end) of every line of print, top to bottom; None where they are not told apart,
    as in a slanted photo or beside a picture.

    Args:
        page: upright RGB picture of any size, with print in one column.
    """
    starts, ends = runs_of(np.asarray(ink_of(page).any(axis=1)))
    runs = list(zip(starts.tolist(), ends.tolist(), strict=True))
    if len(runs) < FEWEST:
        return None
    distance = float(np.median(np.diff(starts)))
    lines = [(start, end) for start, end in runs if end - start >= _DIRT * distance]
    if any(end - start > _TOUCHING * distance for start, end in lines):
        return None
    return lines if len(lines) >= FEWEST else None
