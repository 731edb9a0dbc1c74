"""What the decoder's visual tokens show after its first layers.

Attention passes values on linearly. What a layer is to read off a visual token, the glyphs of
its cell, the object over it or its place, should therefore lie open to a linear head before that
layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from nano_lab.pretraining.batch import PretrainingBatch
from nano_lab.pretraining.dense_head import DenseHead
from nano_lab.pretraining.heads import PositionHead
from nano_lab.pretraining.layout import in_sequence
from nano_lab.pretraining.object_head import ObjectHead

# Layers before the one whose inputs are looked at.
FIRST_LAYERS = 2
# Every visual token has a place, and only some have glyphs or an object.
POSITION_WEIGHT = 0.2


class CellHeads(nn.Module):
    """Glyphs, objects and places, and what words name, from states of the decoder's width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.glyphs, self.object = DenseHead(width), ObjectHead(width)
        self.place = PositionHead(width, framed=True)

    def loss(self, states: Tensor, batch: PretrainingBatch, image_id: int) -> Tensor:
        """Summed loss of states [B, T, H]."""
        loss = states.new_zeros(())
        if batch.objects is not None:
            number, place = batch.objects.areas.nonzero(as_tuple=True)
            showing = states[batch.objects.rows[number], place]
            loss = loss + self.object.loss(
                showing, batch.objects.facts[number], batch.held_out_pairs
            )
        assert batch.cell_places is not None  # noqa: S101
        visual = states[batch.ids == image_id]
        if batch.glyph_labels is not None:
            loss = loss + self.glyphs.loss(visual, in_sequence(batch.glyph_labels, batch.shown))[0]
        if batch.mentions is not None:
            loss = loss + self.object.named(states, batch.mentions)
        return loss + POSITION_WEIGHT * self.place.loss(visual, batch.cell_places)[0]


def cell_count(batch: PretrainingBatch) -> float:
    """What the summed loss is to be divided by for a mean."""
    objects = 0 if batch.objects is None else int(batch.objects.areas.sum())
    glyphs = 0 if batch.glyph_labels is None else int((batch.glyph_labels > 0).sum())
    return objects + glyphs
