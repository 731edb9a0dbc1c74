"""``--tiles auto``: the fewest local tiles that keep a picture's detail.

A canvas of fewer tiles shows the picture smaller. What that loses is measured on the
picture itself: shrink it to the smaller canvas, enlarge it again, and compare with what the
largest canvas would have shown. A blurred or plain picture loses nothing, small print does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

Size = tuple[int, int]

TILE = 384
MAX_TILES = 9
# The released grids: every (columns, rows) of at most nine tiles, smallest area first.
GRIDS = sorted(
    ((c, r) for c in range(1, 10) for r in range(1, 10) if c * r <= MAX_TILES),
    key=lambda grid: (grid[0] * grid[1], grid),
)
# Share of a block's contrast that may be lost; see benchmarks/README.md for what it costs.
LOST_SHARE = 0.17
# Of the blocks with something on them, this share must stay within LOST_SHARE.
BLOCKS_KEPT = 0.9
_BLOCK = 32
# Standard deviation in grey levels below which a block holds nothing but noise.
_MIN_CONTRAST = 6.0


def choose_tiles(image: Image, limit: int | None = None) -> int | None:
    """The most local tiles to allow for ``image``, so that no fewer would keep its detail.

    Args:
        image: upright RGB picture of any size.
        limit: never more than this many; None for the released rule's nine.

    Returns:
        A number of tiles for the tiling rule to stay within, or None where the rule's own
        choice is needed.
    """
    most = MAX_TILES if limit is None else max(1, min(limit, MAX_TILES))
    full = fitted_size(image.size, most)
    reference = image.convert("L").resize(full)
    tried = (0, 0)
    for tiles in range(1, most):
        size = fitted_size(image.size, tiles)
        if size != tried and (size == full or keeps(reference, size)):
            return tiles
        tried = size
    return limit


def fitted_size(size: Size, most_tiles: int) -> Size:
    """(width, height) at which a picture of ``size`` is shown on its canvas of few tiles.

    A picture is never counted as larger than it is: enlarging adds no detail.
    """
    width, height = size
    best = (1, 1)
    for columns, rows in GRIDS:
        if columns * rows > max(most_tiles, 1):
            break
        scale = min(columns * TILE / width, rows * TILE / height, 1.0)
        fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
        if fitted[0] * fitted[1] > best[0] * best[1]:
            best = fitted
    return best


def keeps(reference: Image, size: Size) -> bool:
    """Whether showing ``reference`` (mode L) at ``size`` keeps its detail."""
    lost = list(_lost_shares(reference, size))
    if not lost:
        return True
    return float(np.quantile(lost, BLOCKS_KEPT)) <= LOST_SHARE


def _lost_shares(reference: Image, size: Size) -> Iterator[float]:
    """For every block that is not plain, the share of its variance that ``size`` cannot show."""
    back = reference.resize(size).resize(reference.size)
    before, after = _blocks(reference), _blocks(back)
    contrast = before.var(axis=1)
    error = ((before - after) ** 2).mean(axis=1)
    busy = contrast > _MIN_CONTRAST**2
    yield from error[busy] / contrast[busy]


def _blocks(picture: Image) -> npt.NDArray[np.float32]:
    """[blocks, pixels] of a grey picture; an incomplete last row or column is repeated."""
    grey = np.asarray(picture, dtype=np.float32)
    pad = [(0, -length % _BLOCK) for length in grey.shape]
    grey = np.pad(grey, pad, mode="edge")
    rows, columns = grey.shape[0] // _BLOCK, grey.shape[1] // _BLOCK
    blocks = grey.reshape(rows, _BLOCK, columns, _BLOCK).transpose(0, 2, 1, 3)
    return blocks.reshape(rows * columns, -1)
