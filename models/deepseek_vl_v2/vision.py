"""The SigLIP vision tower (arXiv 2303.15343), named as in the released checkpoints.

One call takes any number of tiles. ``attn_pool`` is part of the format but not of the
computation: the projector reads the patch features after the last norm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2.format.config import VisionConfig
from deepseek_vl_v2.kernels.dense import gelu_tanh, merged_attention

LAYER_NORM_EPS = 1e-6


class PatchProjection(nn.Conv2d):
    """A strided convolution without overlap: one matrix product, and faster as one.

    The weight is only used in ``forward``, so that hooks which bring an offloaded weight to the
    device (accelerate's) see it.
    """

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, 3, S, S] -> [N, P, C], row-major; the last pixels that fill no patch are dropped."""
        size = self.kernel_size[0]
        count, channels, height, width = pixels.shape
        rows, columns = height // size, width // size
        pixels = pixels[:, :, : rows * size, : columns * size]
        patches = pixels.reshape(count, channels, rows, size, columns, size)
        patches = patches.permute(0, 2, 4, 1, 3, 5).reshape(count, rows * columns, -1)
        return functional.linear(patches, self.weight.flatten(1), self.bias)


class PatchEmbed(nn.Module):
    """Cuts tiles into patches: [N, 3, S, S] -> [N, grid * grid, C], row-major."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.proj = PatchProjection(
            3, config.width, kernel_size=config.patch_size, stride=config.patch_size
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, 3, S, S] -> [N, P, C]."""
        return self.proj(pixels)  # type: ignore[no-any-return]


class VisionAttention(nn.Module):
    """Full self-attention over the patches of a tile."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, P, C] -> [N, P, C]."""
        count, patches, width = hidden.shape
        qkv = self.qkv(hidden).view(count, patches, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        return self.proj(merged_attention(query, key, value))  # type: ignore[no-any-return]


class VisionMlp(nn.Module):
    """Two linear layers around the tanh form of GELU."""

    def __init__(self, width: int, intermediate: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, intermediate)
        self.fc2 = nn.Linear(intermediate, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., C] -> [..., C]."""
        return self.fc2(gelu_tanh(self.fc1(hidden)))  # type: ignore[no-any-return]


class VisionBlock(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.attn = VisionAttention(config)
        self.norm2 = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.mlp = VisionMlp(config.width, config.intermediate_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, P, C] -> [N, P, C]."""
        hidden = hidden + self.attn(self.norm1(hidden))
        return hidden + self.mlp(self.norm2(hidden))  # type: ignore[no-any-return]


class AttentionPool(nn.Module):
    """SigLIP's pooling head: its weights are in every checkpoint, and nothing reads them."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.zeros(1, 1, config.width))
        self.q = nn.Linear(config.width, config.width)
        self.kv = nn.Linear(config.width, 2 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.mlp = VisionMlp(config.width, config.intermediate_size)


class VisionTower(nn.Module):
    """Tiles to patch features."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(config)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2, config.width))
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.attn_pool = AttentionPool(config)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels in [-1, 1], [N, 3, S, S] -> features [N, P, C] after the last norm.

        Works in the dtype of the weights.
        """
        weight = self.patch_embed.proj.weight
        hidden = self.patch_embed(pixels.to(weight.dtype)) + self.pos_embed
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)  # type: ignore[no-any-return]
