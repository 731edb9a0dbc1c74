"""Prefill and decode of one sequence over a KV cache that can be rewound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM

# Tokens per forward while a prompt is read: bounds the activations, costs no speed.
PREFILL_CHUNK = 1024


class Decoder(Protocol):
    """One sequence: what has been read so far, and the logits of what may follow."""

    @property
    def length(self) -> int:
        """Tokens in the cache."""

    def prefill(self, inputs_embeds: Tensor) -> Tensor:
        """Read [1, T, H] embeddings after what is cached; float32 logits [V] of the last."""

    def verify(self, token_ids: Sequence[int]) -> Tensor:
        """Read 1 to 16 tokens; float32 logits [T, V] of what may follow each."""

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""


class TorchDecoder:
    """The plain transformers path; works for every checkpoint on every device."""

    def __init__(self, model: DeepseekVLV2ForCausalLM) -> None:
        self._model = model
        self._cache = self._new_cache()

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        return self._cache.get_seq_length()

    @torch.inference_mode()
    def prefill(self, inputs_embeds: Tensor) -> Tensor:
        """Read [1, T, H] embeddings chunk by chunk; logits [V] of the last position."""
        logits = torch.empty(0)
        for chunk in inputs_embeds.split(PREFILL_CHUNK, dim=1):
            logits = self._forward(1, inputs_embeds=chunk)
        return logits[-1]

    @torch.inference_mode()
    def verify(self, token_ids: Sequence[int]) -> Tensor:
        """Read tokens; logits [T, V] after each."""
        ids = torch.tensor([list(token_ids)], device=self._model.device)
        return self._forward(len(token_ids), input_ids=ids)

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""
        surplus = self.length - length
        if length == 0:
            self._cache = self._new_cache()
        elif surplus > 0:
            self._cache.crop(-surplus)

    def _forward(self, kept: int, **inputs: Tensor) -> Tensor:
        out = self._model.language(
            **inputs, past_key_values=self._cache, use_cache=True, logits_to_keep=kept
        )
        return out.logits[0].float()  # type: ignore[no-any-return]

    def _new_cache(self) -> DynamicCache:
        return DynamicCache(config=self._model.config.language)
