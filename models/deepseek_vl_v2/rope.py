"""Rotary position tables and their application (arXiv 2104.09864), always in fp32.

Casting the inverse frequencies to bf16 with the weights is what breaks long prompts in
naive ports, so they are no buffer of any module: they are computed when needed.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rotary_tables(positions: Tensor, dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the half-split layout, fp32.

    Args:
        positions: [B, T] integers.
        dim: channels that rotate; even.
        theta: base of the frequencies, ``theta ** (-2 j / dim)``.

    Returns:
        Two [B, 1, T, dim] tensors, ready to broadcast over heads.
    """
    exponent = torch.arange(0, dim, 2, dtype=torch.float32, device=positions.device) / dim
    # The reciprocal first, as upstream: at position 4000 the other order differs by 1e-4 rad.
    frequencies = 1.0 / theta**exponent
    angles = positions.float()[..., None] * frequencies
    angles = torch.cat([angles, angles], dim=-1)[:, None]
    return angles.cos(), angles.sin()


def rotate(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate the pairs (j, j + dim / 2) of the last axis; computed in fp32."""
    first, second = states.float().chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (states.float() * cosines + turned * sines).to(states.dtype)


def deinterleave(states: Tensor) -> Tensor:
    """[x0, x1, x2, x3, ...] -> [x0, x2, ..., x1, x3, ...]: MLA checkpoints interleave pairs."""
    return torch.cat([states[..., 0::2], states[..., 1::2]], dim=-1)
