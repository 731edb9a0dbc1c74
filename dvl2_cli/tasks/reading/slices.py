"""Very high pages, as long screenshots, cut between their lines.

Whole, they are shrunk to the tiles of a model until nothing can be read.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

# A page that is higher, in pixels and in its widths, is cut: the highest canvas of the released
# models, 9 tiles of 384 pixels, shows no more.
MAX_HEIGHT, MAX_WIDTHS = 9 * 384, 4
# A slice's height in widths, at least in pixels, and how many slices there are at most.
_WIDTHS, _MIN_HEIGHT, _MAX_SLICES = 2, 600, 48
# The last part of a slice, in which it is cut.
_SEARCHED = 0.25


def slices_of(page: Image) -> list[Image]:
    """``page`` (upright RGB), or its horizontal slices from top to bottom where it is very high.

    They do not overlap, and every row of the page is in one. They end where rows are even, as
    between lines of print, or else where rows differ least within themselves.
    """
    if page.height <= max(MAX_HEIGHT, MAX_WIDTHS * page.width):
        return [page]
    most = max(_WIDTHS * page.width, _MIN_HEIGHT, -(-page.height // _MAX_SLICES))
    cuts = [0]
    while page.height - cuts[-1] > most:
        cuts.append(_cut(page, cuts[-1] + round(most * (1 - _SEARCHED)), cuts[-1] + most))
    edges = [*cuts, page.height]
    return [page.crop((0, top, page.width, bottom)) for top, bottom in itertools.pairwise(edges)]


def _cut(page: Image, first: int, last: int) -> int:
    """The row from ``first`` to ``last`` at which a slice ends: the middle of the widest gap."""
    contrast = _contrast(page.crop((0, first, page.width, last)))
    flat = contrast <= contrast.min()
    best, length, start = 0, 0, None
    for row, even in enumerate([*flat, False]):
        if even and start is None:
            start = row
        elif not even and start is not None:
            if row - start >= length:  # of gaps as wide the last one: slices are fewer
                best, length = (start + row) // 2, row - start
            start = None
    return first + max(best, 1)


def _contrast(part: Image) -> npt.NDArray[np.uint8]:
    """Of each row of pixels the brightest less the darkest."""
    import numpy as np

    grey = np.asarray(part.convert("L"))
    found: npt.NDArray[np.uint8] = grey.max(axis=1) - grey.min(axis=1)
    return found
