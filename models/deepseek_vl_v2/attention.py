"""The decoder's attention: plain multi-head (Tiny), and multi-head latent (MLA; Small, 27B).

MLA (DeepSeek-V2, arXiv 2405.04434, section 2.1) caches one normed latent and one rotated
key per token, whatever the number of heads. It has two equal forms, and the cheaper one
is taken call by call:

- expanded: ``kv_b_proj`` turns every cached latent into per-head keys and values;
- absorbed: ``kv_b_proj`` is folded into the query and the output, and attention runs in
  the latent space. It wins when few queries meet a long cache, that is at decode.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2.cache import Cache
from deepseek_vl_v2.format.config import TextConfig
from deepseek_vl_v2.norm import RMSNorm
from deepseek_vl_v2.rope import deinterleave, rotate

LatentForm = Literal["auto", "absorbed", "expanded"]
# The latent norms ignore rms_norm_eps, upstream as well.
LATENT_NORM_EPS = 1e-6

Tables = tuple[Tensor, Tensor]


class ScaledDotProductAttention(nn.Module):
    """``softmax(scale * query @ key.T) @ value``; it has no weights.

    It is a module of its own so that a forward hook sees queries and keys, and so that training
    may put another kernel in its place.
    """

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        """Attend; without a mask, several queries are causal.

        Args:
            query: [B, A, T, K].
            key: [B, A, S, K].
            value: [B, A, S, V].
            mask: [B or 1, 1, T, S], bool (True attends) or additive.
            scale: of the scores.

        Returns:
            [B, A, T, V].
        """
        spare = key.shape[-1] - value.shape[-1]
        if spare:
            # Equal widths keep torch on its flash kernel instead of a [T, S] score matrix.
            value = functional.pad(value, (0, spare))
        causal = mask is None and query.shape[2] > 1
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal, scale=scale
        )
        return mixed[..., : mixed.shape[-1] - spare] if spare else mixed


class MultiHeadAttention(nn.Module):
    """Llama-style attention with half-split rotary positions over whole heads."""

    def __init__(self, config: TextConfig, layer_index: int) -> None:
        super().__init__()
        self.layer_index = layer_index
        self.head_dim = config.head_dim
        self.groups = config.num_attention_heads // _kv_heads(config)
        kv_size = _kv_heads(config) * self.head_dim
        bias = config.attention_bias
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=bias)
        self.k_proj = nn.Linear(config.hidden_size, kv_size, bias=bias)
        self.v_proj = nn.Linear(config.hidden_size, kv_size, bias=bias)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=bias)
        self.attend = ScaledDotProductAttention()

    def forward(
        self, hidden: Tensor, tables: Tables, mask: Tensor | None, cache: Cache | None
    ) -> Tensor:
        """[B, T, H] -> [B, T, H]; the cache holds rotated keys and values per head."""
        query = rotate(self._heads(self.q_proj(hidden)), *tables)
        key = rotate(self._heads(self.k_proj(hidden)), *tables)
        value = self._heads(self.v_proj(hidden))
        if cache is not None:
            key, value = cache.update(key, value, self.layer_index)
        if self.groups > 1:
            key = key.repeat_interleave(self.groups, dim=1)
            value = value.repeat_interleave(self.groups, dim=1)
        mixed = self.attend(query, key, value, mask, self.head_dim**-0.5)
        return self.o_proj(_merge_heads(mixed))  # type: ignore[no-any-return]

    def _heads(self, states: Tensor) -> Tensor:
        batch, length, _ = states.shape
        return states.view(batch, length, -1, self.head_dim).transpose(1, 2)


class LatentUpProjection(nn.Linear):
    """``kv_b_proj``: per head the rows that make keys (W_uk), then those that make values (W_uv).

    All uses go through ``forward``, so that hooks which bring an offloaded weight to the
    device (accelerate's) see each of them.
    """

    def __init__(self, config: TextConfig) -> None:
        self.heads = config.num_attention_heads
        self.key_dim = config.qk_nope_head_dim
        self.value_dim = config.v_head_dim
        rank = config.kv_lora_rank or 0
        super().__init__(rank, self.heads * (self.key_dim + self.value_dim), bias=False)

    def forward(
        self, states: Tensor, part: Literal["all", "query_to_latent", "latent_to_value"] = "all"
    ) -> Tensor:
        """Project between heads and latent.

        ``all``: latent [B, S, R] -> keys and values [B, A, S, key + value].
        ``query_to_latent``: query [B, A, T, key] -> q W_uk, [B, A, T, R].
        ``latent_to_value``: mixed latents [B, A, T, R] -> values [B, A, T, value].
        """
        if part == "all":
            batch, length, _ = states.shape
            return super().forward(states).view(batch, length, self.heads, -1).transpose(1, 2)
        weight = self.weight.view(self.heads, self.key_dim + self.value_dim, -1)
        if part == "query_to_latent":
            return states @ weight[:, : self.key_dim]
        return states @ weight[:, self.key_dim :].transpose(1, 2)


class MultiHeadLatentAttention(nn.Module):
    """MLA with the latent cache; ``form`` fixes one of its two forms (for tests)."""

    form: LatentForm = "auto"

    def __init__(self, config: TextConfig, layer_index: int) -> None:
        super().__init__()
        if config.kv_lora_rank is None:
            raise ValueError("language_config.kv_lora_rank is null although use_mla is true")
        self.layer_index = layer_index
        self.heads = config.num_attention_heads
        self.nope = config.qk_nope_head_dim
        self.rope = config.qk_rope_head_dim
        self.value_dim = config.v_head_dim
        self.rank = config.kv_lora_rank
        self.scale = (self.nope + self.rope) ** -0.5
        hidden, query_size = config.hidden_size, self.heads * (self.nope + self.rope)
        bias = config.attention_bias
        if config.q_lora_rank is None:
            self.q_proj = nn.Linear(hidden, query_size, bias=False)
        else:
            self.q_a_proj = nn.Linear(hidden, config.q_lora_rank, bias=bias)
            self.q_a_layernorm = RMSNorm(config.q_lora_rank, LATENT_NORM_EPS)
            self.q_b_proj = nn.Linear(config.q_lora_rank, query_size, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(hidden, self.rank + self.rope, bias=bias)
        self.kv_a_layernorm = RMSNorm(self.rank, LATENT_NORM_EPS)
        self.kv_b_proj = LatentUpProjection(config)
        self.o_proj = nn.Linear(self.heads * self.value_dim, hidden, bias=bias)
        self.attend = ScaledDotProductAttention()

    def forward(
        self, hidden: Tensor, tables: Tables, mask: Tensor | None, cache: Cache | None
    ) -> Tensor:
        """[B, T, H] -> [B, T, H]; the cache holds [B, 1, S, R] latents and [B, 1, S, rope] keys."""
        batch, length, _ = hidden.shape
        query = self._query(hidden).view(batch, length, self.heads, -1).transpose(1, 2)
        q_nope, q_rope = query.split([self.nope, self.rope], dim=-1)
        q_rope = rotate(deinterleave(q_rope), *tables)

        latent, k_rope = self.kv_a_proj_with_mqa(hidden).split([self.rank, self.rope], dim=-1)
        latent = self.kv_a_layernorm(latent)[:, None]
        k_rope = rotate(deinterleave(k_rope[:, None]), *tables)
        if cache is not None:
            latent, k_rope = cache.update(latent, k_rope, self.layer_index)

        if self._use_absorbed(length, latent.shape[2]):
            mixed = self._absorbed(q_nope, q_rope, latent, k_rope, mask)
        else:
            mixed = self._expanded(q_nope, q_rope, latent, k_rope, mask)
        return self.o_proj(_merge_heads(mixed))  # type: ignore[no-any-return]

    def _query(self, hidden: Tensor) -> Tensor:
        if hasattr(self, "q_proj"):
            return self.q_proj(hidden)  # type: ignore[no-any-return]
        return self.q_b_proj(self.q_a_layernorm(self.q_a_proj(hidden)))  # type: ignore[no-any-return]

    def _use_absorbed(self, queries: int, keys: int) -> bool:
        if self.form != "auto":
            return self.form == "absorbed"
        # Multiply-adds per head of either form; kv_b_proj costs the same per query or per key.
        up = self.rank * (self.nope + self.value_dim)
        absorbed = queries * (up + keys * (2 * self.rank + self.rope))
        expanded = keys * (up + queries * (self.nope + self.rope + self.value_dim))
        return absorbed < expanded

    def _expanded(
        self, q_nope: Tensor, q_rope: Tensor, latent: Tensor, k_rope: Tensor, mask: Tensor | None
    ) -> Tensor:
        up = self.kv_b_proj(latent[:, 0])
        k_nope, value = up.split([self.nope, self.value_dim], dim=-1)
        key = torch.cat([k_nope, k_rope.expand(-1, self.heads, -1, -1)], dim=-1)
        query = torch.cat([q_nope, q_rope], dim=-1)
        return self.attend(query, key, value, mask, self.scale)  # type: ignore[no-any-return]

    def _absorbed(
        self, q_nope: Tensor, q_rope: Tensor, latent: Tensor, k_rope: Tensor, mask: Tensor | None
    ) -> Tensor:
        q_latent = self.kv_b_proj(q_nope, part="query_to_latent")
        scores = q_latent @ latent.transpose(-1, -2) + q_rope @ k_rope.transpose(-1, -2)
        scores = _masked(scores.float() * self.scale, mask)
        mixed = scores.softmax(-1).to(latent.dtype) @ latent
        return self.kv_b_proj(mixed, part="latent_to_value")  # type: ignore[no-any-return]


def build_attention(config: TextConfig, layer_index: int) -> nn.Module:
    """The attention that ``use_mla`` asks for."""
    kind = MultiHeadLatentAttention if config.use_mla else MultiHeadAttention
    return kind(config, layer_index)


def _kv_heads(config: TextConfig) -> int:
    return config.num_key_value_heads or config.num_attention_heads


def _merge_heads(mixed: Tensor) -> Tensor:
    batch, heads, length, width = mixed.shape
    return mixed.transpose(1, 2).reshape(batch, length, heads * width)


def _masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Apply a boolean (True attends) or additive mask; without one, several queries are causal."""
    queries, keys = scores.shape[-2:]
    if mask is None:
        if queries == 1:
            return scores
        mask = torch.ones(queries, keys, dtype=torch.bool, device=scores.device)
        mask = mask.tril(keys - queries)
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores + mask
