"""The auxiliary head of the tower's pretraining; it is dropped afterwards.

Every visual token, after the projector, predicts the glyph in each bin of its cell. A tile
of text then carries hundreds of labels instead of one answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nano_lab.pretraining.glyph_labels import BINS, BLANK, CLASSES

BIN_WIDTH = 48
# Nine bins in ten are blank.
BLANK_WEIGHT = 0.15


class DenseHead(nn.Module):
    """Tokens [..., D] -> logits [..., 14, classes]."""

    class_weight: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.bins = nn.Linear(width, BINS * BIN_WIDTH)
        self.classes = nn.Linear(BIN_WIDTH, CLASSES)
        weight = torch.ones(CLASSES)
        weight[BLANK] = BLANK_WEIGHT
        self.register_buffer("class_weight", weight, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of every bin."""
        bins = functional.gelu(self.bins(self.norm(tokens)))
        return self.classes(bins.view(*tokens.shape[:-1], BINS, BIN_WIDTH))  # type: ignore[no-any-return]

    def loss(self, tokens: Tensor, labels: Tensor) -> tuple[Tensor, DenseCounts]:
        """Weighted cross-entropy, summed, of tokens [N, C, D] against [N, C, 14] labels.

        Cells with labels of -1 are left out.
        """
        known = labels[..., 0] >= 0
        logits = self.forward(tokens[known]).flatten(0, -2)
        flat = labels[known].flatten().long()
        loss = functional.cross_entropy(logits.float(), flat, self.class_weight, reduction="sum")
        with torch.no_grad():
            guess = logits.argmax(-1)
            glyph = flat != BLANK
            right = ((guess == flat) & glyph).sum()
            wrong = ((guess != BLANK) & ~glyph).sum()
        return loss, DenseCounts(glyph.sum(), right, wrong)


def label_weight(labels: Tensor) -> float:
    """What the summed loss of ``labels`` is to be divided by for a mean."""
    glyphs = int((labels > BLANK).sum())
    return glyphs + BLANK_WEIGHT * int((labels == BLANK).sum())


@dataclass(frozen=True, slots=True)
class DenseCounts:
    """Glyphs in a batch, those named rightly in their bin, and blank bins given a glyph."""

    glyphs: Tensor
    right: Tensor
    false: Tensor
