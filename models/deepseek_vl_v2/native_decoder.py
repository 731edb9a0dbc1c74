"""A sequence that the compiled kernels decode: one call a token for the whole stack.

The cache is one pair of arrays for each layer (one array with latent attention), written by
both ways of reading tokens: all in one call, and for long prompts layer by layer, with
attention over many queries between the matrix products. Weights that are not packed read long
prompts in torch alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from deepseek_vl_v2.cache import GrowingCache
from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.kernels.dense import merged_attention
from deepseek_vl_v2.native_model import NativeModel, UnsupportedModelError

__all__ = ["MAX_STEP_TOKENS", "NativeDecoder", "UnsupportedModelError"]

# Tokens that the kernels take at once; more go layer by layer.
MAX_STEP_TOKENS = 16
# Tokens of a prompt between two looks at the weights: bounds the activations.
PREFILL_CHUNK = 512


class NativeDecoder:
    """Prefill and decode of one sequence.

    Args:
        model: on the CPU; packed, bfloat16 or float32 weights. Its weights are used in place.
        max_length: positions of the cache, 1 or more.

    Raises:
        UnsupportedModelError: the kernels were not built, or do not cover this model; the
            message says why. Torch then runs it.
    """

    def __init__(self, model: ImageTextModel, max_length: int) -> None:
        library = kernels.load_library()
        if library is None:
            raise UnsupportedModelError("the compiled kernels are not there")
        self._library = library
        self._native = NativeModel(model, max_length)
        self._model = model
        self._config = model.config.language
        self._capacity = max_length
        self._length = 0
        kernels.set_threads(torch.get_num_threads())
        handle = self._library.dvl2_decoder_new(ctypes.byref(self._native.shape))
        if not handle:
            raise MemoryError("the decoder's kernels could not get memory")
        self._handle = ctypes.c_void_p(handle)

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            self._library.dvl2_decoder_free(handle)

    @property
    def length(self) -> int:
        """Positions in the cache."""
        return self._length

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes that one position takes in the cache, all layers together."""
        return self._native.cache_bytes_per_token

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""
        self._length = min(self._length, max(length, 0))

    def step(self, token_id: int) -> Tensor:
        """Read one token; float32 logits [V] of what may follow.

        Raises:
            ValueError: the cache is full, or the id is outside the vocabulary.
        """
        return self.verify([token_id])[0]

    def verify(self, token_ids: Sequence[int]) -> Tensor:
        """Read 1 to 16 tokens; float32 logits [T, V] after each.

        Raises:
            ValueError: the cache is too full, too many tokens, or an id outside the vocabulary.
        """
        if not 1 <= len(token_ids) <= MAX_STEP_TOKENS:
            raise ValueError(f"{len(token_ids)} tokens, not 1 to {MAX_STEP_TOKENS}")
        if not all(0 <= token < self._config.vocab_size for token in token_ids):
            raise ValueError("a token id is outside the vocabulary")
        tokens = (ctypes.c_int32 * len(token_ids))(*token_ids)
        return self._run_stack(tokens, None, len(token_ids), all_logits=True)

    @torch.inference_mode()
    def prefill(self, inputs_embeds: Tensor) -> Tensor:
        """Read [1, T, H] embeddings, T at least 1; float32 logits [V] of the last.

        Raises:
            ValueError: the cache is too full.
        """
        embeds = inputs_embeds[0]
        self._check_room(len(embeds))
        if len(embeds) <= MAX_STEP_TOKENS:
            wide = embeds.float().contiguous()
            return self._run_stack(None, wide, len(wide), all_logits=False)[0]
        if not self._native.packed:
            return self._prefill_in_torch(inputs_embeds)
        hidden = torch.empty(0)
        for chunk in embeds.split(PREFILL_CHUNK):
            # A copy in any case: the layers work on it in place.
            states = torch.empty(chunk.shape, dtype=torch.float32).copy_(chunk)
            hidden = self._prefill_chunk(states)
        logits = torch.empty(self._config.vocab_size)
        last = hidden[-1].contiguous()
        self._check(
            self._library.dvl2_decoder_logits(self._handle, last.data_ptr(), 1, logits.data_ptr())
        )
        return logits

    def _run_stack(
        self, tokens: Any, embeds: Tensor | None, count: int, *, all_logits: bool
    ) -> Tensor:
        self._check_room(count)
        logits = torch.empty(count if all_logits else 1, self._config.vocab_size)
        pointer = None if embeds is None else embeds.data_ptr()
        self._check(
            self._library.dvl2_decoder_step(
                self._handle, tokens, pointer, count, self._length, all_logits, logits.data_ptr()
            )
        )
        self._length += count
        return logits

    def _prefill_chunk(self, hidden: Tensor) -> Tensor:
        """Run [T, H] fp32 states, which is overwritten, through every layer."""
        count = len(hidden)
        query = torch.empty(count, self._native.query_width)
        for index in range(self._config.num_hidden_layers):
            self._check(
                self._library.dvl2_decoder_project(
                    self._handle,
                    index,
                    hidden.data_ptr(),
                    count,
                    self._length,
                    query.data_ptr(),
                )
            )
            mixed = self._attend(index, query, self._length + count)
            self._check(
                self._library.dvl2_decoder_finish(
                    self._handle, index, hidden.data_ptr(), mixed.data_ptr(), count
                )
            )
        self._length += count
        return hidden

    def _attend(self, index: int, query: Tensor, total: int) -> Tensor:
        """Attention of scaled queries [T, heads * width] over ``total`` cached positions."""
        keys, values = self._keys_and_values(index, total)
        heads = query.view(len(query), self._config.num_attention_heads, -1).transpose(0, 1)
        mixed = merged_attention(
            heads[None].to(self._native.dtype),
            keys[None],
            values[None],
            causal=True,
            scale=1.0,
            dtype=torch.float32,
        )
        return mixed[0].contiguous()

    def _keys_and_values(self, index: int, total: int) -> tuple[Tensor, Tensor]:
        """Cached keys and values of every query head, [heads, total, width]."""
        config = self._config
        cached = self._native.keys[index, :, :total]
        if config.use_mla:
            rank = config.kv_lora_rank or 0
            up = self._model.language.model.layers[index].self_attn.kv_b_proj
            expanded = up(cached[..., :rank])[0]
            key, value = expanded.split([config.qk_nope_head_dim, config.v_head_dim], dim=-1)
            rotated = cached[..., rank : rank + config.qk_rope_head_dim]
            key = torch.cat([key, rotated.expand(len(key), -1, -1)], dim=-1)
            return key, value
        values = self._native.values[index, :, :total]
        sharing = config.num_attention_heads // len(cached)
        if sharing == 1:
            return cached, values
        return cached.repeat_interleave(sharing, dim=0), values.repeat_interleave(sharing, dim=0)

    def _prefill_in_torch(self, inputs_embeds: Tensor) -> Tensor:
        """Read a prompt with the torch model and move what it caches into the arrays."""
        cache = GrowingCache()
        for index in range(self._config.num_hidden_layers if self._length else 0):
            cache.update(*self._native.cached_states(index, self._length), index)
        logits = self._model.language.read(inputs_embeds, cache, 1)
        start, self._length = self._length, self._length + inputs_embeds.shape[1]
        for index, (keys, values) in enumerate(cache.layers):
            self._native.store_states(index, start, keys, values)
        return logits[-1]

    def _check_room(self, count: int) -> None:
        if self._length + count > self._capacity:
            raise ValueError(
                f"{count} more tokens after {self._length} exceed the cache of {self._capacity}"
            )

    @staticmethod
    def _check(status: int) -> None:
        kernels.check(status)
