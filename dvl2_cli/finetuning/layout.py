"""Where every token of an image comes from: the cell of a tile that it shows, and its place.

Laid out as ``projector.assemble_image`` does it with the thumbnail first, but as indices: one
gather then lays out all images of a batch, and their labels with them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dvl2_cli.finetuning.batch import PlacedImage
from nano_lab.pretraining.glyph_labels import CELLS, THUMBNAIL_TOKENS

NEWLINE, SEPARATOR = -1, -2
TILE_CELLS = CELLS * CELLS
# Tiles along a side of the widest grid, and one more for the thumbnail.
FRAMES = 10
_THUMBNAIL = FRAMES * FRAMES - 1


def lay_out(images: Sequence[PlacedImage]) -> tuple[Tensor, Tensor]:
    """For all tokens of ``images`` in order, int64 [S] each.

    Returns:
        What a token shows: ``tile * 196 + cell``, or NEWLINE or SEPARATOR; and its place,
        ``(row * FRAMES + column) * 196 + cell`` with the row and column of its tile, -1 for
        separators. A thumbnail's are the last ones.
    """
    shown, places = [], []
    for image in images:
        tiles, cells, frames = _one(image.columns, image.rows)
        numbers = np.array(image.tiles)[tiles]
        shown.append(np.where(cells >= 0, numbers * TILE_CELLS + cells, cells))
        places.append(np.where(cells >= 0, frames * TILE_CELLS + cells, -1))
    return _joined(shown), _joined(places)


def _joined(parts: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *parts]))


def in_sequence(labels: Tensor, shown: Tensor) -> Tensor:
    """Labels [N, 196, F] of tiles for the tokens that show them: [S, F], -1 for separators."""
    found = labels.flatten(0, 1)[shown.clamp(min=0)]
    return torch.where(shown[:, None] >= 0, found, -1)


def spread(values: Tensor, ids: Tensor, image_id: int) -> Tensor:
    """``values`` [S] of all images' tokens at their places in ``ids`` [B, T]; -1 for text."""
    rows = torch.full_like(ids, -1)
    return rows.masked_scatter(ids == image_id, values) if len(values) else rows


def twins(shown: Tensor) -> Tensor:
    """Which tokens, bool [S], show what a thumbnail's token THUMBNAIL_TOKENS before does too."""
    before = torch.full_like(shown, NEWLINE)
    before[THUMBNAIL_TOKENS:] = shown[:-THUMBNAIL_TOKENS]
    return (shown >= 0) & (shown == before)


@functools.cache
def _one(columns: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tile of the image, cell (or separator) and frame of each token, thumbnail first."""
    cells = np.arange(TILE_CELLS).reshape(CELLS, CELLS)
    local = np.tile(cells, (rows, columns))
    tiles = np.arange(rows * columns).reshape(rows, columns).repeat(CELLS, 0).repeat(CELLS, 1)
    frames = tiles // columns * FRAMES + tiles % columns
    return (
        _sequence(np.zeros_like(cells), tiles + 1),
        _sequence(cells, local, NEWLINE, SEPARATOR),
        _sequence(np.full_like(cells, _THUMBNAIL), frames),
    )


def _sequence(
    thumbnail: np.ndarray, lines: np.ndarray, newline: int = 0, separator: int = 0
) -> np.ndarray:
    """The thumbnail, the separator and the lines, each line with its end."""
    ended = [
        np.pad(grid, ((0, 0), (0, 1)), constant_values=newline).ravel()
        for grid in (thumbnail, lines)
    ]
    return np.concatenate([ended[0], [separator], ended[1]])
