"""The auxiliary head of scenes: object labels per visual token.

Like the glyph head it exists while nano is trained and is dropped afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dvl2_cli.training.things import NAMES, SHADES

HIDDEN = 192
# Most cells of a scene are background.
BACKGROUND_WEIGHT = 0.3
BOX_WEIGHT = 4.0


class ThingHead(nn.Module):
    """Tokens [N, 196, D] to the object over each cell: its name, colour and box."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, HIDDEN), nn.GELU())
        self.names = nn.Linear(HIDDEN, len(NAMES))
        self.shades = nn.Linear(HIDDEN, len(SHADES))
        self.box = nn.Linear(HIDDEN, 4)

    def loss(self, tokens: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss over the known cells, and how many covered cells are named rightly."""
        known = labels[..., 0] >= 0
        hidden = self.trunk(tokens[known])
        labels = labels[known]
        names, shades = labels[:, 0].long(), labels[:, 1].long()
        covered = names > 0
        guess = self.names(hidden).float()
        weight = torch.where(covered, 1.0, BACKGROUND_WEIGHT)
        loss = (functional.cross_entropy(guess, names, reduction="none") * weight).sum()
        shade = self.shades(hidden)[covered].float()
        loss = loss + functional.cross_entropy(shade, shades[covered], reduction="sum")
        box = functional.l1_loss(
            self.box(hidden)[covered].float(), labels[covered, 2:], reduction="sum"
        )
        right = ((guess.argmax(-1) == names) & covered).sum()
        return loss + BOX_WEIGHT * box, right


def known_cells(labels: Tensor) -> int:
    """What the summed loss is to be divided by for a mean."""
    names = labels[..., 0]
    return int((names > 0).sum() + BACKGROUND_WEIGHT * (names == 0).sum())
