"""Prefill and decode of many sequences, each over a cache of its own that can be rewound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from deepseek_vl_v2.cache import GrowingCache
from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.format.config import TextConfig

# Tokens per forward while a prompt is read: bounds the activations, costs no speed.
PREFILL_CHUNK = 1024


class SequenceCache(Protocol):
    """What a decoder keeps of one sequence."""

    @property
    def length(self) -> int:
        """Positions in the cache."""

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""

    def copy_prefix(self, source: Any, length: int) -> None:
        """Take the first ``length`` positions of another cache of the same decoder."""


CacheT = TypeVar("CacheT", bound=SequenceCache)


class Decoder(Protocol[CacheT]):
    """Reads prompts, one at a time, and steps many sequences together.

    ``batch_invariant`` says whether logits have the same bits whatever chunks a prompt comes in
    and however many tokens a step takes. What prompts and steps leave in a cache may differ.
    """

    @property
    def batch_invariant(self) -> bool:
        """See above."""

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes that one position takes in a cache, all layers together."""

    def open(self, capacity: int) -> CacheT:
        """An empty cache for a sequence of at most ``capacity`` positions."""

    def prefill(self, cache: CacheT, inputs_embeds: Tensor) -> Tensor:
        """Read [1, T, H] embeddings after what is cached; float32 logits [V] of the last."""

    def step(self, parts: Sequence[tuple[CacheT, Sequence[int]]]) -> list[Tensor]:
        """Read the next tokens of each sequence, 1 to 64 in all; for each sequence float32
        logits [T, V] of what may follow each token.
        """


class TorchCache(GrowingCache):
    """The cache of one sequence in torch."""

    @property
    def length(self) -> int:
        """Positions in the cache."""
        return self.get_seq_length()

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""
        if length < self.length:
            super().crop(length)

    def copy_prefix(self, source: TorchCache, length: int) -> None:
        """Share the first ``length`` positions of another cache; neither changes them."""
        self.layers = list(source.layers)
        self.crop(length)


class TorchDecoder:
    """Torch alone; works for every checkpoint on every device. Sequences step one by one."""

    batch_invariant = False

    def __init__(self, model: ImageTextModel) -> None:
        self._model = model

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes that one position takes in a cache, all layers together."""
        dtype: torch.dtype = self._model.language.model.embed_tokens.weight.dtype
        return int(_cached_numbers(self._model.config.language) * dtype.itemsize)

    def open(self, capacity: int) -> TorchCache:
        """An empty cache, which grows as far as it has to."""
        del capacity
        return TorchCache()

    @torch.inference_mode()
    def prefill(self, cache: TorchCache, inputs_embeds: Tensor) -> Tensor:
        """Read [1, T, H] embeddings chunk by chunk; logits [V] of the last position."""
        logits = torch.empty(0)
        for chunk in inputs_embeds.split(PREFILL_CHUNK, dim=1):
            logits = self._model.language.read(chunk, cache, 1)
        return logits[-1]

    @torch.inference_mode()
    def step(self, parts: Sequence[tuple[TorchCache, Sequence[int]]]) -> list[Tensor]:
        """Read the next tokens of each sequence; logits [T, V] after each."""
        return [self._read(cache, token_ids) for cache, token_ids in parts]

    def _read(self, cache: TorchCache, token_ids: Sequence[int]) -> Tensor:
        ids = torch.tensor([list(token_ids)], device=self._model.device)
        return self._model.language.read(self._model.embed(ids), cache, len(token_ids))


class OneSequence:
    """A decoder with the cache of a single sequence.

    Args:
        decoder: reads and steps.
        capacity: most positions.
    """

    def __init__(self, decoder: Decoder[Any], capacity: int) -> None:
        self._decoder = decoder
        self._cache = decoder.open(capacity)

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        return int(self._cache.length)

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes that one position takes in the cache, all layers together."""
        return self._decoder.cache_bytes_per_token

    def prefill(self, inputs_embeds: Tensor) -> Tensor:
        """Read [1, T, H] embeddings after what is cached; float32 logits [V] of the last."""
        return self._decoder.prefill(self._cache, inputs_embeds)

    def verify(self, token_ids: Sequence[int]) -> Tensor:
        """Read 1 to 64 tokens; float32 logits [T, V] of what may follow each."""
        return self._decoder.step([(self._cache, token_ids)])[0]

    def step(self, token_id: int) -> Tensor:
        """Read one token; float32 logits [V] of what may follow."""
        return self.verify([token_id])[0]

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""
        self._cache.crop(length)


def _cached_numbers(config: TextConfig) -> int:
    """Numbers that a position takes in torch's cache."""
    if config.use_mla:
        return config.num_hidden_layers * ((config.kv_lora_rank or 0) + config.qk_rope_head_dim)
    heads = config.num_key_value_heads or config.num_attention_heads
    return config.num_hidden_layers * 2 * heads * config.head_dim
