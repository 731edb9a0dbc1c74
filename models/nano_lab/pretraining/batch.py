"""A micro-batch with the targets of pretraining's auxiliary losses."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dvl2_cli.finetuning.batch import MicroBatch, TensorGroup
from dvl2_cli.finetuning.layout import TILE_CELLS


@dataclass(frozen=True, slots=True)
class Objects(TensorGroup):
    """The objects of a micro-batch.

    Attributes:
        of: int64 [B, T], the object that a token is read from, -1 for none.
        rows: int64 [N], the row that each object is in.
        areas: bool [N, T], where its row shows it.
        facts: float32 [N, 6], see ``objects.PlacedObject``.
    """

    of: Tensor
    rows: Tensor
    areas: Tensor
    facts: Tensor


@dataclass(frozen=True, slots=True)
class CountingTargets(TensorGroup):
    """Where something is counted.

    Attributes:
        rows: int64 [M].
        positions: int64 [M], the token before the number.
        places: int64 [M, K], where in the row that lies which is counted, filled with -1.
    """

    rows: Tensor
    positions: Tensor
    places: Tensor


@dataclass(frozen=True, slots=True)
class PretrainingBatch(MicroBatch):
    """A micro-batch of rendered pictures; without a decoder's part, ``ids`` has no rows.

    Attributes:
        cell_places: int64 [S], the place of the cell that every image token shows; see
            ``layout.cell_places``.
        glyph_labels: int16 [N, 196, 14], -1 where nothing is known.
        object_labels: float32 [N, 196, 6], -1 where nothing is known.
        attention_targets: int64 [B, T], the position in its row that a token is read from, or -1.
        glyph_bins: int64 [B, T], the glyph's bin within that cell, or -1.
        branches: int64 [B, T], numbers the prefix branches, which follow a picture and do not see
            each other; 0 is the prefix, which all of the row see.
        objects: those that tokens are read from.
        mentions: int64 [B, T, 2], classes of the name and the colour that end with a token, or -1.
        counting: where objects are counted.
        excluded_tokens: int64 [M, 3], rows, positions and tokens that are no negatives there.
        held_out_pairs: bool [colours, names], the classes that are no negatives of each other.
    """

    cell_places: Tensor | None = None
    glyph_labels: Tensor | None = None
    object_labels: Tensor | None = None
    attention_targets: Tensor | None = None
    glyph_bins: Tensor | None = None
    branches: Tensor | None = None
    objects: Objects | None = None
    mentions: Tensor | None = None
    counting: CountingTargets | None = None
    excluded_tokens: Tensor | None = None
    held_out_pairs: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Tokens that a pass works on: the tower's where there is no text."""
        return self.ids.numel() or TILE_CELLS * len(self.tiles)
