"""Attention capture: the queries and keys of chosen layers, by forward hooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from torch import Tensor, nn

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.attention import MultiHeadLatentAttention
from deepseek_vl_v2.decoder import DecoderBlock


class AttentionCapture:
    """Keeps what latent attention attends with, in the expanded form, while ``enabled``.

    The product of a layer's queries and keys are its scores before mask and softmax. A pass of a
    training batch takes the expanded form; the absorbed one has no per-head keys to keep.
    """

    def __init__(self, model: DeepseekVLV2ForCausalLM, layers: Iterable[int]) -> None:
        """Hook the layers with these indices, counted from 0."""
        self.enabled = False
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        for index in layers:
            attention = latent_attention(model, index)
            attention.attend.register_forward_pre_hook(self._keeper(index, attention.scale))

    def take(self, index: int) -> tuple[Tensor, Tensor]:
        """Scaled queries and keys [B, A, T, K] of layer ``index`` in the last pass, once.

        Raises:
            KeyError: the pass did not reach the layer, or its kept states were already taken.
        """
        return self._kept.pop(index)

    def _keeper(self, index: int, scale: float) -> Any:
        def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if self.enabled:
                query, key = inputs[:2]
                self._kept[index] = query * scale, key

        return keep


def latent_attention(model: DeepseekVLV2ForCausalLM, index: int) -> MultiHeadLatentAttention:
    """The attention of decoder layer ``index``, which must be latent."""
    layer = cast(DecoderBlock, model.language.model.layers[index])
    return cast(MultiHeadLatentAttention, layer.self_attn)
