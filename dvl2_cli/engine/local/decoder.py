"""Prefill and decode of one sequence over a KV cache that can be rewound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from deepseek_vl_v2.cache import GrowingCache
from deepseek_vl_v2.core import ImageTextModel

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
    """Torch alone; works for every checkpoint on every device."""

    def __init__(self, model: ImageTextModel) -> None:
        self._model = model
        self._cache = GrowingCache()

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        return self._cache.get_seq_length()

    @torch.inference_mode()
    def prefill(self, inputs_embeds: Tensor) -> Tensor:
        """Read [1, T, H] embeddings chunk by chunk; logits [V] of the last position."""
        logits = torch.empty(0)
        for chunk in inputs_embeds.split(PREFILL_CHUNK, dim=1):
            logits = self._model.language.read(chunk, self._cache, 1)
        return logits[-1]

    @torch.inference_mode()
    def verify(self, token_ids: Sequence[int]) -> Tensor:
        """Read tokens; logits [T, V] after each."""
        ids = torch.tensor([list(token_ids)], device=self._model.device)
        embeds = self._model.embed(ids)
        return self._model.language.read(embeds, self._cache, len(token_ids))

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""
        if length < self.length:
            self._cache.crop(length)
