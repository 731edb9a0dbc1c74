"""Sequences that the compiled kernels decode: one call a step for the whole stack.

A step takes rows of any sequences, each with its own cache and position. Prompts go layer by
layer, with attention over many queries between the matrix products.

A row's numbers have the same bits whatever rows are beside it, and a prompt's whatever chunks it is
read in: every sum in the kernels runs in one order. Prompts and steps attend by different sums, so
a position has the same bits only as long as it is read in the same of the two ways.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.kernels.dense import compiled_attention
from deepseek_vl_v2.kernels.linear import compiled_linear
from deepseek_vl_v2.kernels.structures import Row
from deepseek_vl_v2.native_cache import NativeCache
from deepseek_vl_v2.native_model import NativeModel, UnsupportedModelError

__all__ = ["MAX_STEP_ROWS", "NativeDecoder", "UnsupportedModelError"]

# Tokens that a step takes, of all sequences together: bounds its scratch memory.
MAX_STEP_ROWS = 64
# Tokens of a prompt between two looks at the weights: bounds the activations.
PREFILL_CHUNK = 512


class NativeDecoder:
    """Prefill and steps of many sequences. One call at a time.

    Args:
        model: on the CPU; packed, bfloat16 or float32 weights. Its weights are used in place.

    Raises:
        UnsupportedModelError: the kernels were not built, or do not cover this model; the
            message says why. Torch then runs it.
    """

    batch_invariant = True

    def __init__(self, model: ImageTextModel) -> None:
        library = kernels.load_library()
        if library is None:
            raise UnsupportedModelError("the compiled kernels are not there")
        self._library = library
        self._native = NativeModel(model)
        self._config = model.config.language
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
    def cache_bytes_per_token(self) -> int:
        """Bytes that one position takes in a cache, all layers together."""
        return self._native.cache_form.bytes_per_token

    def open(self, capacity: int) -> NativeCache:
        """An empty cache for a sequence of at most ``capacity`` positions."""
        return NativeCache(self._native.cache_form, capacity)

    def step(self, parts: Sequence[tuple[NativeCache, Sequence[int]]]) -> list[Tensor]:
        """Read the next tokens of each sequence, 1 to 64 in all.

        Returns:
            For each sequence float32 logits [T, V] of what may follow each of its tokens.

        Raises:
            ValueError: a cache is too full, too many tokens, or an id outside the vocabulary.
        """
        counts = [len(token_ids) for _, token_ids in parts]
        total = sum(counts)
        if not 1 <= total <= MAX_STEP_ROWS or 0 in counts:
            raise ValueError(f"{total} tokens, not 1 to {MAX_STEP_ROWS}")
        ids = [token for _, token_ids in parts for token in token_ids]
        if not all(0 <= token < self._config.vocab_size for token in ids):
            raise ValueError("a token id is outside the vocabulary")
        rows = []
        for cache, token_ids in parts:
            cache.check_room(len(token_ids))
            rows += [cache.row(cache.length + offset) for offset in range(len(token_ids))]
        logits = torch.empty(total, self._config.vocab_size)
        kernels.check(
            self._library.dvl2_decoder_step(
                self._handle,
                (ctypes.c_int32 * total)(*ids),
                (Row * total)(*rows),
                total,
                logits.data_ptr(),
            )
        )
        for cache, token_ids in parts:
            cache.length += len(token_ids)
        return list(logits.split(counts))

    @torch.inference_mode()
    def prefill(self, cache: NativeCache, inputs_embeds: Tensor) -> Tensor:
        """Read [1, T, H] embeddings, T at least 1; float32 logits [V] of the last.

        Raises:
            ValueError: the cache is too full.
        """
        embeds = inputs_embeds[0]
        cache.check_room(len(embeds))
        hidden = torch.empty(0)
        for chunk in embeds.split(PREFILL_CHUNK):
            # A copy in any case: the layers work on it in place.
            states = torch.empty(chunk.shape, dtype=torch.float32).copy_(chunk)
            hidden = self._read_chunk(cache, states)
        logits = torch.empty(self._config.vocab_size)
        last = hidden[-1].contiguous()
        kernels.check(
            self._library.dvl2_decoder_logits(self._handle, last.data_ptr(), 1, logits.data_ptr())
        )
        return logits

    def _read_chunk(self, cache: NativeCache, hidden: Tensor) -> Tensor:
        """Run [T, H] fp32 states, which is overwritten, through every layer."""
        count = len(hidden)
        query = torch.empty(count, self._native.query_width)
        row = cache.row(cache.length)
        for index in range(self._config.num_hidden_layers):
            kernels.check(
                self._library.dvl2_decoder_project(
                    self._handle,
                    index,
                    hidden.data_ptr(),
                    ctypes.byref(row),
                    count,
                    query.data_ptr(),
                )
            )
            mixed = self._attend(cache, index, query, cache.length + count)
            kernels.check(
                self._library.dvl2_decoder_finish(
                    self._handle, index, hidden.data_ptr(), mixed.data_ptr(), count
                )
            )
        cache.length += count
        return hidden

    def _attend(self, cache: NativeCache, index: int, query: Tensor, total: int) -> Tensor:
        """Attention of scaled queries [T, heads * width] over ``total`` cached positions."""
        keys, values = self._keys_and_values(cache, index, total)
        heads = query.view(len(query), self._config.num_attention_heads, -1).transpose(0, 1)
        mixed = compiled_attention(
            heads[None].to(keys.dtype),
            keys[None],
            values[None],
            causal=True,
            scale=1.0,
            dtype=torch.float32,
        )
        return mixed[0].contiguous()

    def _keys_and_values(self, cache: NativeCache, index: int, total: int) -> tuple[Tensor, Tensor]:
        """Cached keys and values of every query head, [heads, total, width]."""
        config = self._config
        cached = cache.keys[index, :, :total]
        if config.use_mla:
            rank = config.kv_lora_rank or 0
            up = compiled_linear(self._native.shape.layer[index].latent_up, cached[0, :, :rank])
            expanded = up.view(total, config.num_attention_heads, -1).transpose(0, 1)
            key, value = expanded.split([config.qk_nope_head_dim, config.v_head_dim], dim=-1)
            rotated = cached[..., rank : rank + config.qk_rope_head_dim]
            key = torch.cat([key, rotated.expand(len(key), -1, -1)], dim=-1)
            return key, value
        values = cache.values[index, :, :total]
        sharing = config.num_attention_heads // len(cached)
        if sharing == 1:
            return cached, values
        return cached.repeat_interleave(sharing, dim=0), values.repeat_interleave(sharing, dim=0)
