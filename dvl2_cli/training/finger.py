"""The reading finger: attention heads of the decoder, taught to look where the text is read.

The cross-entropy is taken of the heads' own attention, over all positions before a token, so
that what is learned is what the decoder reads with (guided attention, arXiv 1710.08969, with
known targets). The first layers are taught to find the token that was written last, the
others the one to come. Left alone the decoder needs many times the steps to find the lines.
Small heads also name the bin of the glyph within its cell; they are dropped after training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.attention import MultiHeadLatentAttention, Tables
from deepseek_vl_v2.decoder import DecoderLayer
from deepseek_vl_v2.rope import rotary_tables
from dvl2_cli.errors import UsageError
from dvl2_cli.training.batch import MicroBatch
from dvl2_cli.training.glyphs import BINS


@dataclass(frozen=True, slots=True)
class Fingers:
    """The fingers of a layer, counted from the last (1): heads for the token ``now``, then
    heads for the ``next`` one.
    """

    layer: int
    now: int
    next: int


# The last layer needs room for all glyphs of a cell.
FINGERS = (Fingers(5, 1, 0), Fingers(4, 1, 1), Fingers(3, 0, 1), Fingers(2, 0, 1), Fingers(1, 0, 3))
# The layer whose hits are shown, and those whose inputs should know the bins.
SHOWN = 2
KNOWS_NOW, KNOWS_NEXT = 3, 1


def check_finger(model: DeepseekVLV2ForCausalLM) -> None:
    """Refuse a decoder that cannot be taught to point.

    Raises:
        UsageError: it has no latent attention, or too few layers or heads.
    """
    config = model.config.language
    heads = max(fingers.now + fingers.next for fingers in FINGERS)
    enough = config.num_hidden_layers >= KNOWS_NOW and config.num_attention_heads >= heads
    if not config.use_mla or not enough:
        raise UsageError("pointer_loss needs latent attention, three layers and three heads")


class BinHead(nn.Module):
    """States [..., H] -> logits of the glyph's bin in its cell [..., BINS]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.bins = nn.Linear(width, BINS)

    def loss(self, states: Tensor, bins: Tensor) -> Tensor:
        """Summed cross-entropy against ``bins``, without those of -1."""
        logits: Tensor = self.bins(self.norm(states))
        return functional.cross_entropy(
            logits.flatten(0, -2).float(), bins.flatten(), ignore_index=-1, reduction="sum"
        )


class BinHeads(nn.Module):
    """What the decoder should know of the glyph written last, and of the one to come."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.now, self.next = BinHead(width), BinHead(width)


def finger_loss(
    model: DeepseekVLV2ForCausalLM, heads: BinHeads, states: tuple[Tensor, ...], batch: MicroBatch
) -> tuple[Tensor, Tensor]:
    """Summed loss of where the fingers point, and how many of layer SHOWN point at the right cell.

    Args:
        model: the checkpoint in training.
        heads: name the bins.
        states: the inputs [B, T, H] of every layer, and the final states.
        batch: with ``pointers``, and ``bins`` where they are known.
    """
    assert batch.pointers is not None  # noqa: S101
    config = model.config.language
    layers = config.num_hidden_layers
    tables = rotary_tables(batch.positions, config.qk_rope_head_dim, config.rope_theta)
    now, following = last_known(batch.pointers, batch.labels)[:, :-1], batch.pointers[:, 1:]
    losses, right = [], batch.pointers.new_zeros(())
    for fingers in FINGERS:
        layer = layers - fingers.layer
        if layer < 1:  # the first layer has seen no context yet
            continue
        scores = _scores(model, layer, states[layer], tables, fingers.now + fingers.next)
        for head, target in enumerate([now] * fingers.now + [following] * fingers.next):
            loss, hits = _pointing(scores[:, head], target)
            losses.append(loss)
        if fingers.layer == SHOWN:
            right = hits
    loss = torch.stack(losses).mean()
    if batch.bins is not None:
        bins = last_known(batch.bins, batch.labels)[:, :-1]
        loss = loss + heads.next.loss(states[layers - KNOWS_NEXT][:, :-1], batch.bins[:, 1:])
        loss = loss + heads.now.loss(states[layers - KNOWS_NOW][:, :-1], bins)
    return loss, right


def last_known(values: Tensor, labels: Tensor) -> Tensor:
    """For every answer token its own value, or else the last one before it in the same answer.

    Args:
        values: int64 [B, T], -1 where unknown.
        labels: int64 [B, T], -100 outside of answers.

    Returns:
        int64 [B, T], -1 where there is none.
    """
    place = torch.arange(values.shape[1], device=values.device).expand_as(values)
    latest = torch.where(values >= 0, place, -1).cummax(1).values
    outside = torch.where(labels == -100, place, -1).cummax(1).values
    return torch.where(latest > outside, values.gather(1, latest.clamp(min=0)), -1)


def _pointing(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Summed loss and hits of one head's scores [B, T, T] against targets [B, T - 1]."""
    row, place = (target >= 0).nonzero(as_tuple=True)
    picked = scores[row, place].float()
    columns = torch.arange(picked.shape[1], device=picked.device)
    picked = picked.masked_fill(columns > place[:, None], torch.finfo(torch.float32).min)
    wanted = target[row, place]
    hits = (picked.detach().argmax(-1) == wanted).sum()
    return functional.cross_entropy(picked, wanted, reduction="sum"), hits


def _scores(
    model: DeepseekVLV2ForCausalLM, index: int, states: Tensor, tables: Tables, heads: int
) -> Tensor:
    """Scores [B, heads, T, T] of a layer's first heads, not masked."""
    layer = cast(DecoderLayer, model.language.model.layers[index])
    attention = cast(MultiHeadLatentAttention, layer.self_attn)
    return attention.head_scores(layer.input_layernorm(states), tables, heads)
