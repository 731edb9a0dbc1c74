"""The reading finger: one attention head of the decoder, taught to look where the next token is.

The cross-entropy is taken of the head's own attention, over all positions before a token, so
that what is learned is what the decoder reads with (guided attention, arXiv 1710.08969, with
known targets). Left alone the decoder needs many times the steps to find the lines.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.attention import MultiHeadLatentAttention
from deepseek_vl_v2.decoder import DecoderLayer
from deepseek_vl_v2.rope import rotary_tables
from dvl2_cli.errors import UsageError

HEAD = 0


def finger_layer(model: DeepseekVLV2ForCausalLM) -> int:
    """The last layer but one: those before it find the place, the last one writes.

    Raises:
        UsageError: the decoder has no latent attention, or too few layers.
    """
    config = model.config.language
    if not config.use_mla or config.num_hidden_layers < 2:
        raise UsageError("pointer_loss needs a decoder with latent attention and two layers")
    return config.num_hidden_layers - 2


def finger_loss(
    model: DeepseekVLV2ForCausalLM, states: Tensor, positions: Tensor, pointers: Tensor
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy of the head's attention, and how many look at the right cell most.

    Args:
        model: the checkpoint in training.
        states: [B, T, H], what goes into ``finger_layer``.
        positions: [B, T] int64.
        pointers: [B, T] int64, the position that each token is read from, or -1.
    """
    layer = cast(DecoderLayer, model.language.model.layers[finger_layer(model)])
    attention = cast(MultiHeadLatentAttention, layer.self_attn)
    tables = rotary_tables(positions, attention.rope, model.config.language.rope_theta)
    scores = attention.head_scores(layer.input_layernorm(states), tables, HEAD)[:, :-1]
    target = pointers[:, 1:]
    known = target >= 0
    length = scores.shape[-1]
    past = torch.ones(length - 1, length, dtype=torch.bool, device=scores.device).tril()
    picked = scores.masked_fill(~past, torch.finfo(scores.dtype).min)[known].float()
    loss = functional.cross_entropy(picked, target[known], reduction="sum")
    return loss, (picked.detach().argmax(-1) == target[known]).sum()
