"""Block-sparse attention for training on a CPU: blocks of queries over the keys that they see.

It is faster, forward and backward, than torch's fused kernel, whose backward pass is slow on CPUs.
It never computes what a mask hides from a whole block: half of a causal mask, and most of one
whose rows hold prefix branches that do not see each other.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2.attention import ScaledDotProductAttention

# Scores that a layer may keep for the backward pass: 128 MB of bfloat16.
MAX_SCORES = 1 << 26
# Queries of a block, and the steps in which keys are left out.
BLOCK_QUERIES, KEY_STEP = 256, 64

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Block:
    """Queries ``start`` to ``end``, the keys that one of them sees, and bool [B or 1, 1, queries,
    keys], True where a query does not.
    """

    start: int
    end: int
    keys: tuple[Range, ...]
    hidden: Tensor


class BlockSparseAttention(ScaledDotProductAttention):
    """The network's attention while it trains on a CPU with few enough scores, else torch's."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        """As ``ScaledDotProductAttention.forward``."""
        blocks = _blocks(query, key, mask)
        if blocks is None:
            return super().forward(query, key, value, mask, scale)
        return block_sparse_attention(query, key, value, blocks, scale)


def use_block_sparse_attention(model: nn.Module) -> None:
    """Put ``BlockSparseAttention`` in the place of every layer's attention kernel."""
    for module in model.modules():
        if type(getattr(module, "attend", None)) is ScaledDotProductAttention:
            module.attend = BlockSparseAttention()


def _blocks(query: Tensor, key: Tensor, mask: Tensor | None) -> tuple[Block, ...] | None:
    trained = torch.is_grad_enabled() and query.requires_grad and query.device.type == "cpu"
    square = query.shape[2] == key.shape[2]
    if not trained or not square or (mask is not None and mask.dtype != torch.bool):
        return None
    blocks = blocks_of(mask, query.shape[2])
    scores = query.shape[:2].numel() * score_count(blocks)
    return blocks if scores <= MAX_SCORES else None


def block_sparse_attention(
    query: Tensor, key: Tensor, value: Tensor, blocks: tuple[Block, ...], scale: float
) -> Tensor:
    """``softmax(scale * query @ key.T) @ value`` over what ``blocks`` leave open.

    Args:
        query: [B, heads, T, K].
        key: [B, heads, T, K].
        value: [B, heads, T, W].
        blocks: of all T queries, see ``blocks_of``.
        scale: of the scores.

    Returns:
        [B, heads, T, W] in the dtype of the queries.
    """
    return cast(Tensor, _BlockSparse.apply(query, key, value, blocks, scale))


def score_count(blocks: tuple[Block, ...]) -> int:
    """The scores that a head has to compute for a row."""
    return sum(block.hidden.shape[2] * block.hidden.shape[3] for block in blocks)


class _LastMask:
    """The blocks of the mask that was asked for last: all layers of a pass share one."""

    def __init__(self) -> None:
        self._mask: weakref.ref[Tensor] | None = None
        self._blocks: tuple[Block, ...] = ()

    def blocks(self, mask: Tensor) -> tuple[Block, ...]:
        if self._mask is None or self._mask() is not mask:
            self._mask, self._blocks = weakref.ref(mask), _masked_blocks(mask)
        return self._blocks


_LAST = _LastMask()


def blocks_of(mask: Tensor | None, length: int) -> tuple[Block, ...]:
    """Blocks of ``length`` queries and as many keys under a bool mask [B, 1, T, T], True where a
    query sees a key; None is causal.
    """
    return _causal_blocks(length) if mask is None else _LAST.blocks(mask)


@lru_cache(maxsize=64)
def _causal_blocks(length: int) -> tuple[Block, ...]:
    blocks = []
    for start in range(0, length, BLOCK_QUERIES):
        end = min(length, start + BLOCK_QUERIES)
        hidden = torch.ones(end - start, end, dtype=torch.bool).triu(start + 1)
        blocks.append(Block(start, end, ((0, end),), hidden[None, None]))
    return tuple(blocks)


def _masked_blocks(mask: Tensor) -> tuple[Block, ...]:
    length = mask.shape[2]
    blocks = []
    for start in range(0, length, BLOCK_QUERIES):
        end = min(length, start + BLOCK_QUERIES)
        rows = mask[:, :, start:end]
        keys = _visible_keys(rows.flatten(0, 2).any(0))
        hidden = ~torch.cat([rows[..., first:last] for first, last in keys], -1)
        blocks.append(Block(start, end, keys, hidden))
    return tuple(blocks)


def _visible_keys(visible: Tensor) -> tuple[Range, ...]:
    """Ranges, in multiples of KEY_STEP, that hold every True of bool [T]; at least one."""
    length = len(visible)
    steps = functional.pad(visible, (0, -length % KEY_STEP)).view(-1, KEY_STEP).any(1)
    edges = functional.pad(steps.byte(), (1, 1)).diff().nonzero().flatten().tolist()
    ranges = [
        (first * KEY_STEP, min(length, last * KEY_STEP))
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
    return tuple(ranges) or ((0, min(length, KEY_STEP)),)


def _picked(states: Tensor, keys: tuple[Range, ...]) -> Tensor:
    parts = [states[:, :, first:last] for first, last in keys]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


class _BlockSparse(torch.autograd.Function):
    """Keeps every block's probabilities for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, blocks: tuple[Block, ...], scale: float
    ) -> Tensor:
        query = query * scale
        out = query.new_empty(*query.shape[:3], value.shape[3])
        shares = []
        for block in blocks:
            scores = query[:, :, block.start : block.end] @ _picked(key, block.keys).mT
            scores.masked_fill_(block.hidden, torch.finfo(scores.dtype).min)
            share = scores.softmax(-1)
            out[:, :, block.start : block.end] = share @ _picked(value, block.keys)
            shares.append(share)
        ctx.save_for_backward(query, key, value, *shares)
        ctx.blocks, ctx.scale = blocks, scale
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, *shares = ctx.saved_tensors
        to_query = torch.empty_like(query)
        # Blocks add to the same keys, in float32 as a fused kernel would.
        to_key = torch.zeros(key.shape, dtype=torch.float32)
        to_value = torch.zeros(value.shape, dtype=torch.float32)
        for block, share in zip(ctx.blocks, shares, strict=True):
            queries = slice(block.start, block.end)
            own = gradient[:, :, queries]
            to_share = own @ _picked(value, block.keys).mT
            to_scores = torch._softmax_backward_data(to_share, share, -1, share.dtype)
            to_query[:, :, queries] = to_scores @ _picked(key, block.keys)
            of_keys, of_values = to_scores.mT @ query[:, :, queries], share.mT @ own
            done = 0
            for first, last in block.keys:
                part = slice(done, done + last - first)
                to_key[:, :, first:last] += of_keys[:, :, part]
                to_value[:, :, first:last] += of_values[:, :, part]
                done += last - first
        return to_query * ctx.scale, to_key.to(key.dtype), to_value.to(value.dtype), None, None
