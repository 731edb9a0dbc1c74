"""What the decoder's visual tokens show after its first layers.

Attention passes values on linearly. What a layer is to read off a visual token, the glyphs of
its cell, the object over it or its place, should therefore lie open to a linear head before that
layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dvl2_cli.training.batch import MicroBatch, PlacedImage
from dvl2_cli.training.dense_head import DenseHead
from dvl2_cli.training.glyphs import CELLS, THUMBNAIL_TOKENS
from dvl2_cli.training.heads import PlaceHead
from dvl2_cli.training.object_head import ObjectHead

# Layers before the one whose inputs are looked at.
FIRST_LAYERS = 2
# Every visual token has a place, and only some have glyphs or an object.
PLACE_WEIGHT = 0.2


class CellHeads(nn.Module):
    """Glyphs, objects and places, and what words name, from states of the decoder's width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.glyphs, self.object = DenseHead(width), ObjectHead(width)
        self.place = PlaceHead(width)

    def loss(self, states: Tensor, batch: MicroBatch, image_id: int) -> Tensor:
        """Summed loss of states [B, T, H]."""
        loss = states.new_zeros(())
        if batch.objects is not None:
            number, place = batch.objects.areas.nonzero(as_tuple=True)
            showing = states[batch.objects.rows[number], place]
            loss = loss + self.object.loss(showing, batch.objects.facts[number])
        if batch.dense is not None and batch.images:
            labels = in_sequence(batch.dense, batch.images)
            loss = loss + self.glyphs.loss(states[batch.ids == image_id], labels)[0]
        if batch.mentions is not None:
            loss = loss + self.object.named(states, batch.mentions)
        places = places_of(batch.ids, batch.images, image_id)
        return loss + PLACE_WEIGHT * self.place.loss(states, places)[0]


def in_sequence(labels: Tensor, images: tuple[PlacedImage, ...]) -> Tensor:
    """Labels [N, 196, F] of tiles, for the tokens of all images in their order: [S, F].

    Separators have -1, and so have thumbnails, but of a picture of one tile: there it is the same.
    """
    return torch.cat([_one_image(labels, image) for image in images])


def places_in_sequence(image: PlacedImage) -> Tensor:
    """The cell 0..195, within its tile, of each token of an image, -1 for separators: int64 [S]."""
    cells = torch.arange(CELLS * CELLS).view(CELLS, CELLS, 1)
    lines = cells.repeat(image.rows, image.columns, 1)
    return _laid_out(cells, lines).squeeze(-1)


def places_of(ids: Tensor, images: tuple[PlacedImage, ...], image_id: int) -> Tensor:
    """The same for all tokens of ``ids`` [B, T], -1 for text."""
    cells = torch.full_like(ids, -1)
    if images:
        found = torch.cat([places_in_sequence(image) for image in images])
        cells[ids == image_id] = found.to(ids.device)
    return cells


def twins_of(ids: Tensor, images: tuple[PlacedImage, ...], image_id: int) -> Tensor:
    """Which tokens, bool [B, T], show what a thumbnail's token THUMBNAIL_TOKENS before does too."""
    twins = torch.zeros_like(ids, dtype=torch.bool)
    if images:
        parts = [_twins_in_sequence(image) for image in images]
        twins[ids == image_id] = torch.cat(parts).to(ids.device)
    return twins


def _twins_in_sequence(image: PlacedImage) -> Tensor:
    has = places_in_sequence(image) >= 0
    has[:THUMBNAIL_TOKENS] = False
    return has & (image.columns == image.rows == 1)


def _one_image(labels: Tensor, image: PlacedImage) -> Tensor:
    fields = labels.shape[-1]
    local = labels[list(image.tiles[1:])].view(image.rows, image.columns, CELLS, CELLS, fields)
    lines = local.transpose(1, 2).reshape(image.rows * CELLS, image.columns * CELLS, fields)
    thumbnail = labels.new_full((CELLS, CELLS, fields), -1)
    if image.columns == image.rows == 1:
        thumbnail = lines
    return _laid_out(thumbnail, lines)


def _laid_out(thumbnail: Tensor, lines: Tensor) -> Tensor:
    """Thumbnail, separator and lines [rows, columns, F] as a sequence [S, F]."""
    separator = lines.new_full((1, lines.shape[-1]), -1)
    return torch.cat([_with_line_ends(thumbnail), separator, _with_line_ends(lines)])


def _with_line_ends(lines: Tensor) -> Tensor:
    ends = lines.new_full((len(lines), 1, lines.shape[-1]), -1)
    return torch.cat([lines, ends], dim=1).flatten(0, 1)


def cell_count(batch: MicroBatch) -> float:
    """What the summed loss is to be divided by for a mean."""
    objects = 0 if batch.objects is None else int(batch.objects.areas.sum())
    glyphs = 0 if batch.dense is None else int((batch.dense > 0).sum())
    return objects + glyphs
