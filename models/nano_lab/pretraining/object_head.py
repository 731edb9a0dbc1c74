"""A head that reads an object linearly off the decoder's states; dropped after training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nano_lab.pretraining.heads import mask_colours, mask_names
from nano_lab.pretraining.object_labels import COLOUR_CLASSES, NAME_CLASSES

# A side of the box is one of so many, as an answer's digits are, rather than a number to be
# measured: what is written has to be chosen.
SIDES, BOX_BINS = 4, 24
BOX_WEIGHT = 0.5


class ObjectHead(nn.Module):
    """States [N, H] -> name, colour and box."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.names = nn.Linear(width, len(NAME_CLASSES))
        self.colours = nn.Linear(width, len(COLOUR_CLASSES))
        self.box = nn.Linear(width, SIDES * BOX_BINS)

    def loss(self, states: Tensor, facts: Tensor, held_out: Tensor | None = None) -> Tensor:
        """Summed loss against ``facts`` [N, 6], see ``objects.PlacedObject``; ``held_out`` as in
        PretrainingBatch.
        """
        states = self.norm(states)
        name, colour = facts[:, 0].long(), facts[:, 1].long()
        names = mask_names(self.names(states).float(), colour, held_out)
        colours = mask_colours(self.colours(states).float(), name, colour, held_out)
        loss = functional.cross_entropy(names, name, reduction="sum")
        loss = loss + functional.cross_entropy(colours, colour, reduction="sum")
        sides = self.box(states).float().view(-1, BOX_BINS)
        bins = (facts[:, 2:] * BOX_BINS).long().clamp(0, BOX_BINS - 1).flatten()
        box = functional.cross_entropy(sides, bins, reduction="sum")
        return loss + BOX_WEIGHT * box

    def named(self, states: Tensor, mentions: Tensor) -> Tensor:
        """Summed loss of states [..., H] against ``mentions`` [..., 2], see ``mentions``."""
        losses = []
        for head, classes in zip((self.names, self.colours), mentions.unbind(-1), strict=True):
            known = classes >= 0
            guess = head(self.norm(states[known])).float()
            losses.append(functional.cross_entropy(guess, classes[known], reduction="sum"))
        return torch.stack(losses).sum()
