"""The reading finger: attention heads of the decoder, taught to look where the next token is.

The cross-entropy is taken of the heads' own attention, over all positions before a token, so
that what is learned is what the decoder reads with (guided attention, arXiv 1710.08969, with
known targets). Left alone the decoder needs many times the steps to find the lines. A small
head on the last layer's input also names the bin of the glyph within the cell; it is dropped
after training.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.attention import MultiHeadLatentAttention
from deepseek_vl_v2.decoder import DecoderLayer
from deepseek_vl_v2.rope import rotary_tables
from dvl2_cli.errors import UsageError
from dvl2_cli.training.batch import MicroBatch
from dvl2_cli.training.glyphs import BINS

# Heads of the last layer but one, and of the last, which needs room for all glyphs of a cell.
# The layers before them find the place.
FINGERS = (1, 3)


def check_finger(model: DeepseekVLV2ForCausalLM) -> None:
    """Refuse a decoder that cannot be taught to point.

    Raises:
        UsageError: it has no latent attention, or too few layers.
    """
    config = model.config.language
    if not config.use_mla or config.num_hidden_layers < len(FINGERS):
        raise UsageError("pointer_loss needs a decoder with latent attention and two layers")


class BinHead(nn.Module):
    """States [..., H] -> logits of the glyph's bin in its cell [..., BINS]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.bins = nn.Linear(width, BINS)

    def forward(self, states: Tensor) -> Tensor:
        """Logits of every bin."""
        return self.bins(self.norm(states))  # type: ignore[no-any-return]


def finger_loss(
    model: DeepseekVLV2ForCausalLM, head: BinHead, states: tuple[Tensor, ...], batch: MicroBatch
) -> tuple[Tensor, Tensor]:
    """Summed loss of where the fingers point, and how many of the first point at the right cell.

    Args:
        model: the checkpoint in training.
        head: names the bin.
        states: the inputs [B, T, H] of every layer, and the final states.
        batch: with ``pointers``, and ``bins`` where they are known.
    """
    assert batch.pointers is not None  # noqa: S101
    target = batch.pointers[:, 1:]
    known = target >= 0
    last = model.config.language.num_hidden_layers
    picked = [
        _attention(model, layer, states[layer], batch.positions, head_number)[known].float()
        for layer, heads in enumerate(FINGERS, last - len(FINGERS))
        for head_number in range(heads)
    ]
    losses = [functional.cross_entropy(p, target[known], reduction="sum") for p in picked]
    loss = torch.stack(losses).mean()
    if batch.bins is not None:
        bins = head(states[last - 1])[:, :-1].flatten(0, 1).float()
        loss = loss + functional.cross_entropy(
            bins, batch.bins[:, 1:].flatten(), ignore_index=-1, reduction="sum"
        )
    return loss, (picked[0].detach().argmax(-1) == target[known]).sum()


def _attention(
    model: DeepseekVLV2ForCausalLM, index: int, states: Tensor, positions: Tensor, head: int
) -> Tensor:
    """Causally masked scores [B, T - 1, T] of a head of a layer; no row for the last token."""
    layer = cast(DecoderLayer, model.language.model.layers[index])
    attention = cast(MultiHeadLatentAttention, layer.self_attn)
    tables = rotary_tables(positions, attention.rope, model.config.language.rope_theta)
    scores = attention.head_scores(layer.input_layernorm(states), tables, head)[:, :-1]
    length = scores.shape[-1]
    past = torch.ones(length - 1, length, dtype=torch.bool, device=scores.device).tril()
    return scores.masked_fill(~past, torch.finfo(scores.dtype).min)
