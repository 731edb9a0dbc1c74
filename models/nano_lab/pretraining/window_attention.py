"""The tower on quarter tiles, for pretraining: attention costs a quarter, text stays as dense.

Reading print is local. A window keeps its place in the tile: it takes the positions of the
patches that it covers. Attention is written out, because torch's fused CPU kernel takes
twice as long for short rows (measured: 60 against 22 ms for 16 rows of 196, eight heads).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from deepseek_vl_v2.projector import Projector
from deepseek_vl_v2.vision import VisionAttention, VisionBlock, VisionTower

# First patches of the windows along an axis, and their length; both even, so that whole
# 2x2 cells are cut. The last cell of a tile belongs to none of them.
STARTS, LENGTH = (0, 12), 14
CELL_STARTS, CELL_LENGTH = (0, 6), 7


def attend(attention: VisionAttention, hidden: Tensor) -> Tensor:
    """What ``attention`` computes, [N, P, C] -> [N, P, C]."""
    count, patches, width = hidden.shape
    size = width // attention.heads
    qkv = attention.qkv(hidden).view(count, patches, 3, attention.heads, size)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    scores = (query * size**-0.5) @ key.transpose(-1, -2)
    mixed = torch.softmax(scores, -1, dtype=scores.dtype) @ value
    return cast(Tensor, attention.proj(mixed.transpose(1, 2).reshape(count, patches, width)))


def run_blocks(tower: VisionTower, hidden: Tensor) -> Tensor:
    """The tower from its first block to its last norm, [N, P, C] -> [N, P, C]."""
    for block in tower.blocks:
        block = cast(VisionBlock, block)
        hidden = hidden + attend(block.attn, block.norm1(hidden))
        hidden = hidden + block.mlp(block.norm2(hidden))
    return cast(Tensor, tower.norm(hidden))


def encode_windows(tower: VisionTower, projector: Projector, tiles: Tensor) -> Tensor:
    """Normalised tiles [N, 3, S, S] -> tokens of their four windows, [4 N, 49, D]."""
    hidden = tower.patch_embed(tiles) + tower.pos_embed
    count, patches, width = hidden.shape
    side = round(patches**0.5)
    windows = cut(hidden.view(count, side, side, width), STARTS, LENGTH)
    return cast(Tensor, projector(run_blocks(tower, windows)))


def window_labels(labels: Tensor) -> Tensor:
    """Labels per cell [N, 196, ...] -> [4 N, 49, ...], in the order of ``encode_windows``."""
    side = round(labels.shape[1] ** 0.5)
    return cut(labels.unflatten(1, (side, side)), CELL_STARTS, CELL_LENGTH)


def cut(grid: Tensor, starts: tuple[int, ...], length: int) -> Tensor:
    """[N, side, side, ...] -> [windows * N, length * length, ...]."""
    parts = [grid[:, y : y + length, x : x + length].flatten(1, 2) for y in starts for x in starts]
    return torch.cat(parts)
