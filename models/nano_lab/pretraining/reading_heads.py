"""Heads of guided attention: what the decoder should know where it reads; dropped after training.

The tokens written last, where the glyph written last and the one to come are, and the object that
the next token speaks of.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from nano_lab.pretraining.glyph_labels import BINS
from nano_lab.pretraining.heads import PositionHead
from nano_lab.pretraining.object_head import ObjectHead

# The tokens before its own that a text token should hold after the first layer: what was written
# last is found by them.
RECENT_TOKENS = 4
# Of the cell, beside its bin.
POSITION_WEIGHT = 0.3


class GlyphHead(nn.Module):
    """States [..., H] -> where a glyph is: the cell in its tile, the bin in the cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.bins = nn.Linear(width, BINS)
        self.place = PositionHead(width, framed=True)

    def loss(self, states: Tensor, cells: Tensor, bins: Tensor | None) -> Tensor:
        """Summed cross-entropy against ``cells`` and ``bins`` [...], without those of -1."""
        loss = POSITION_WEIGHT * self.place.loss(states, cells)[0]
        if bins is None:
            return loss
        logits: Tensor = self.bins(self.norm(states))
        return loss + functional.cross_entropy(
            logits.flatten(0, -2).float(), bins.flatten(), ignore_index=-1, reduction="sum"
        )


class RecentHead(nn.Module):
    """States [B, T, H] -> the RECENT_TOKENS tokens before each."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.tokens = nn.Linear(width, RECENT_TOKENS * vocabulary)

    def loss(self, states: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over tokens, the mean of those before, in answers only."""
        whole = labels.unfold(1, RECENT_TOKENS + 1, 1).ne(-100).all(-1)
        wanted = ids.unfold(1, RECENT_TOKENS + 1, 1)[whole][:, :-1]
        logits = self.tokens(self.norm(states[:, RECENT_TOKENS:][whole])).float()
        logits = logits.unflatten(-1, (RECENT_TOKENS, -1))
        loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum")
        return loss / RECENT_TOKENS


class ReadingHeads(nn.Module):
    """All heads of guided attention."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.recent = RecentHead(width, vocabulary)
        self.now, self.next = GlyphHead(width), GlyphHead(width)
        self.object = ObjectHead(width)
