"""The place of the cell that every image token shows, and labels in the order of tokens."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dvl2_cli.finetuning.batch import PlacedImage
from dvl2_cli.finetuning.layout import (
    CELLS,
    NEWLINE,
    TILE_CELLS,
    Grid,
    joined,
    shown_cells,
    tile_numbers,
    token_order,
)
from nano_lab.pretraining.glyph_labels import THUMBNAIL_TOKENS

# Tiles along a side of the widest grid, and one more for the thumbnail.
FRAMES = 10
_THUMBNAIL_FRAME = FRAMES * FRAMES - 1


def lay_out(images: Sequence[PlacedImage]) -> tuple[Tensor, Tensor]:
    """What every token of ``images`` shows, and the place of its cell: int64 [S] each."""
    return shown_cells(images), cell_places(images)


def cell_places(images: Sequence[PlacedImage]) -> Tensor:
    """The places of all tokens of ``images`` in order, int64 [S].

    ``(row * FRAMES + column) * 196 + cell`` with the row and column of the token's tile, -1 for
    separators. The thumbnail's row and column are the last ones.
    """
    return joined([_one(image.columns, image.rows) for image in images])


def in_sequence(labels: Tensor, shown: Tensor) -> Tensor:
    """Labels [N, 196, F] of tiles for the tokens that show them: [S, F], -1 for separators."""
    found = labels.flatten(0, 1)[shown.clamp(min=0)]
    return torch.where(shown[:, None] >= 0, found, -1)


def spread(values: Tensor, ids: Tensor, image_id: int) -> Tensor:
    """``values`` [S] of all images' tokens at their positions in ``ids`` [B, T]; -1 for text."""
    rows = torch.full_like(ids, -1)
    return rows.masked_scatter(ids == image_id, values) if len(values) else rows


def twins(shown: Tensor) -> Tensor:
    """Which tokens, bool [S], show what a thumbnail's token THUMBNAIL_TOKENS before does too."""
    before = torch.full_like(shown, NEWLINE)
    before[THUMBNAIL_TOKENS:] = shown[:-THUMBNAIL_TOKENS]
    return (shown >= 0) & (shown == before)


@functools.cache
def _one(columns: int, rows: int) -> Grid:
    cells = np.arange(TILE_CELLS).reshape(CELLS, CELLS)
    numbers = tile_numbers(columns, rows)
    frames = numbers // columns * FRAMES + numbers % columns
    local = frames * TILE_CELLS + np.tile(cells, (rows, columns))
    return token_order(_THUMBNAIL_FRAME * TILE_CELLS + cells, local, -1, -1)
