"""Which cell of which tile every token of an image shows.

Laid out as ``projector.assemble_image`` does it with the thumbnail first, but as indices: one
gather then lays out all images of a batch.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dvl2_cli.finetuning.batch import PlacedImage

# Visual tokens along a side of a tile, and in a tile.
CELLS = 14
TILE_CELLS = CELLS * CELLS
NEWLINE, SEPARATOR = -1, -2

Grid = npt.NDArray[np.int64]


def shown_cells(images: Sequence[PlacedImage]) -> Tensor:
    """``tile * 196 + cell`` for all tokens of ``images`` in order, or NEWLINE or SEPARATOR: [S]."""
    parts = []
    for image in images:
        tiles, cells = _one(image.columns, image.rows)
        numbers = np.array(image.tiles)[tiles]
        parts.append(np.where(cells >= 0, numbers * TILE_CELLS + cells, cells))
    return joined(parts)


def joined(parts: Sequence[Grid]) -> Tensor:
    """One int64 tensor of all ``parts``."""
    return torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *parts]))


@functools.cache
def _one(columns: int, rows: int) -> tuple[Grid, Grid]:
    """The tile of the image, and the cell or separator, of each token, thumbnail first."""
    cells = np.arange(TILE_CELLS).reshape(CELLS, CELLS)
    local = np.tile(cells, (rows, columns))
    return (
        token_order(np.zeros_like(cells), tile_numbers(columns, rows) + 1),
        token_order(cells, local, NEWLINE, SEPARATOR),
    )


def tile_numbers(columns: int, rows: int) -> Grid:
    """The local tile of every cell of a grid: int64 [rows * 14, columns * 14]."""
    numbers = np.arange(rows * columns).reshape(rows, columns)
    return numbers.repeat(CELLS, 0).repeat(CELLS, 1)


def token_order(thumbnail: Grid, local: Grid, newline: int = 0, separator: int = 0) -> Grid:
    """The thumbnail's lines, the separator and the local lines, each line with its end: [S]."""
    ended = [
        np.pad(grid, ((0, 0), (0, 1)), constant_values=newline).ravel()
        for grid in (thumbnail, local)
    ]
    return np.concatenate([ended[0], [separator], ended[1]])
