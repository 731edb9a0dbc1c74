"""A start for the tower from which locality need not be learned.

Positions are 2-D sines and cosines in channels of their own, heads begin by looking at one
neighbour each, as a convolution does (the idea of "structured initialisation", arXiv
2404.01139, with sines instead of fitted weights), and patches enter as zero-mean random
projections. All of it stays plain learned parameters.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepseek_vl_v2.vision import VisionBlock, VisionTower

# (dx, dy) in patches, for eight heads.
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1))
# Channels that hold the position: 2 axes x 16 frequencies x (sine, cosine).
POSITION_CHANNELS = 64
# Large beside the content, so that the norm treats blank and printed patches alike.
POSITION_SCALE = 2.0
SHARPNESS = 1.3
PATCH_GAIN = 1.8


def frequencies(count: int) -> Tensor:
    """Angular frequencies per patch, evenly spread: positions one patch apart then differ
    as much as distant ones, [count].
    """
    return math.pi * (torch.arange(count) + 0.5) / count


def sine_positions(grid: int) -> Tensor:
    """[grid * grid, POSITION_CHANNELS]: per axis (x, y) and frequency a sine and a cosine."""
    angles = torch.arange(grid)[:, None] * frequencies(POSITION_CHANNELS // 4)[None]
    axis = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    rows = axis[:, None].expand(grid, grid, -1)
    columns = axis[None].expand(grid, grid, -1)
    return torch.cat([columns, rows], dim=-1).reshape(grid * grid, -1)


@torch.no_grad()
def initialise_tower(tower: VisionTower, local_layers: int) -> None:
    """Sine positions, patch projections, and neighbour heads in the first layers."""
    grid = round(tower.pos_embed.shape[1] ** 0.5)
    tower.pos_embed.zero_()
    tower.pos_embed[0, :, :POSITION_CHANNELS] = POSITION_SCALE * sine_positions(grid)
    _project_patches(tower.patch_embed.proj)
    depth = len(tower.blocks)
    for index, block in enumerate(tower.blocks):
        assert isinstance(block, VisionBlock)  # noqa: S101
        for linear in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2):
            torch.nn.init.trunc_normal_(linear.weight, std=linear.in_features**-0.5)
            torch.nn.init.zeros_(linear.bias)
        for linear in (block.attn.proj, block.mlp.fc2):
            linear.weight.mul_((2 * depth) ** -0.5)
            # Nothing is written over the position to begin with.
            linear.weight[:POSITION_CHANNELS] = 0
        if index < local_layers:
            _look_at_neighbours(block)


def _project_patches(patches: torch.nn.Conv2d) -> None:
    """Channels after the position: three mean colours, then zero-mean views of the grey patch."""
    weight = patches.weight
    size = patches.kernel_size[0]
    weight.zero_()
    torch.nn.init.zeros_(patches.bias)  # type: ignore[arg-type]
    views = torch.randn(weight.shape[0] - POSITION_CHANNELS - 3, 1, size, size)
    views -= views.mean((2, 3), keepdim=True)
    views *= PATCH_GAIN / 3 / views.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    weight[POSITION_CHANNELS + 3 :] = views.expand(-1, 3, -1, -1)
    for colour in range(3):
        weight[POSITION_CHANNELS + colour, colour] = 1 / size**2


def _look_at_neighbours(block: VisionBlock) -> None:
    """Query and key of head h match where the key is ``NEIGHBOURS[h]`` away from the query."""
    heads = block.attn.heads
    width = block.attn.qkv.in_features
    size = width // heads
    speeds = frequencies(POSITION_CHANNELS // 4)
    # A head has room for the slower half of an axis' frequencies: nothing repeats in a tile.
    pairs = min(size // 4, len(speeds))
    weight = block.attn.qkv.weight.view(3, heads, size, width)
    for head in range(heads):
        dx, dy = NEIGHBOURS[head % len(NEIGHBOURS)]
        query, key = weight[0, head], weight[1, head]
        query.zero_()
        key.zero_()
        for axis, step in enumerate((dx, dy)):
            for pair in range(pairs):
                source = axis * POSITION_CHANNELS // 2 + 2 * pair
                target = (axis * pairs + pair) * 2
                angle = float(speeds[pair]) * step
                key[target, source] += SHARPNESS
                key[target + 1, source + 1] += SHARPNESS
                # sin(a + d), cos(a + d) from sin a, cos a
                query[target, source] += SHARPNESS * math.cos(angle)
                query[target, source + 1] += SHARPNESS * math.sin(angle)
                query[target + 1, source] -= SHARPNESS * math.sin(angle)
                query[target + 1, source + 1] += SHARPNESS * math.cos(angle)
