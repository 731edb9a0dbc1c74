"""The auxiliary heads of objects and of places, one label per visual token.

Like the glyph head they exist while nano is trained and are dropped afterwards. They are linear:
the decoder's attention passes on what it reads linearly, so it must lie open to that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dvl2_cli.finetuning.layout import CELLS, TILE_CELLS
from nano_lab.pretraining.layout import FRAMES
from nano_lab.pretraining.object_labels import COLOUR_CLASSES, NAME_CLASSES

# Most cells of a scene are background.
BACKGROUND_WEIGHT = 0.3
BOX_WEIGHT = 4.0
# The logit of what a class is not told apart from; finite, so that gradients are.
MASKED_LOGIT = -1e4


class ObjectCellHead(nn.Module):
    """Tokens [N, 196, D] to the object over each cell: its name, colour and box."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.names = nn.Linear(width, len(NAME_CLASSES))
        self.colours = nn.Linear(width, len(COLOUR_CLASSES))
        self.box = nn.Linear(width, 4)

    def loss(
        self, tokens: Tensor, labels: Tensor, held_out: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Summed loss over the known cells, and how many covered cells are named rightly.
        ``held_out`` as in PretrainingBatch.
        """
        known = labels[..., 0] >= 0
        hidden = self.norm(tokens[known])
        labels = labels[known]
        names, colours = labels[:, 0].long(), labels[:, 1].long()
        covered = names > 0
        guess = mask_names(self.names(hidden).float(), colours, held_out)
        weight = torch.where(covered, 1.0, BACKGROUND_WEIGHT)
        loss = (functional.cross_entropy(guess, names, reduction="none") * weight).sum()
        colour = mask_colours(self.colours(hidden).float(), names, colours, held_out)[covered]
        loss = loss + functional.cross_entropy(colour, colours[covered], reduction="sum")
        box = functional.l1_loss(
            self.box(hidden)[covered].float(), labels[covered, 2:], reduction="sum"
        )
        right = ((guess.argmax(-1) == names) & covered).sum()
        return loss + BOX_WEIGHT * box, right


class PositionHead(nn.Module):
    """States [..., D] of visual tokens to the row and the column of their cell in its tile.

    Reading on from a place, and writing boxes, take it; print and objects alone teach the tower
    to forget it. ``framed``: also to the row and the column of the tile, which the tower cannot
    know and the decoder needs on pages of several.
    """

    def __init__(self, width: int, *, framed: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.row, self.column = nn.Linear(width, CELLS), nn.Linear(width, CELLS)
        self.frames = nn.ModuleList(nn.Linear(width, FRAMES) for _ in range(2 * framed))

    def loss(self, states: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss, and how many are right in all; ``places`` int64 [...] as of ``lay_out``."""
        known = places >= 0
        states, places = self.norm(states[known]), places[known]
        cells, frames = places % TILE_CELLS, places // TILE_CELLS
        loss, right = states.new_zeros((), dtype=torch.float32), torch.ones_like(cells)
        heads = (self.row, self.column, *self.frames)
        codes = (cells // CELLS, cells % CELLS, frames // FRAMES, frames % FRAMES)
        for head, wanted in zip(heads, codes, strict=False):
            guess = head(states).float()
            loss = loss + functional.cross_entropy(guess, wanted, reduction="sum")
            right = right & (guess.argmax(-1) == wanted)
        return loss, right.sum()


def mask_names(logits: Tensor, colours: Tensor, held_out: Tensor | None) -> Tensor:
    """``logits`` [N, names] without the names that are held out in ``colours`` [N]."""
    return logits if held_out is None else logits.masked_fill(held_out[colours], MASKED_LOGIT)


def mask_colours(logits: Tensor, names: Tensor, colours: Tensor, held_out: Tensor | None) -> Tensor:
    """The like for ``logits`` [N, colours] of objects of ``names`` [N]; what has no colour that is
    named (class 0 of ``colours`` [N]) might have any.
    """
    if held_out is None:
        return logits
    nameless = (colours == 0)[:, None] & (
        torch.arange(len(COLOUR_CLASSES), device=logits.device) > 0
    )
    return logits.masked_fill(held_out.T[names] | nameless, MASKED_LOGIT)


def known_cells(labels: Tensor) -> int:
    """What the summed loss is to be divided by for a mean."""
    names = labels[..., 0]
    return int((names > 0).sum() + BACKGROUND_WEIGHT * (names == 0).sum())
