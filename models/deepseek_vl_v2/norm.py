"""Root mean square layer norm (arXiv 1910.07467), computed in fp32."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class RMSNorm(nn.Module):
    """``weight * x / sqrt(mean(x ** 2) + eps)`` over the last axis."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., size] -> [..., size] in the dtype of the input."""
        on_cuda = hidden.device.type == "cuda" and hidden.dtype == self.weight.dtype
        if on_cuda and torch.is_grad_enabled():
            # One kernel there and one back, computed in fp32 too.
            return functional.rms_norm(hidden, self.weight.shape, self.weight, self.eps)
        wide = hidden.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * (wide * scale).to(hidden.dtype)
