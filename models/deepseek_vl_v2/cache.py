"""What attention keeps of the tokens before: keys and values, or latents and rotated keys."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Cache(Protocol):
    """What attention asks of a cache; that of transformers has it too."""

    def update(self, keys: Tensor, values: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Append states of shape [B, heads, T, width]; all that the layer holds, [..., S, ...]."""

    def get_seq_length(self) -> int:
        """Positions that are cached."""


class GrowingCache:
    """One pair of tensors for each layer, longer with every token."""

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []

    def update(self, keys: Tensor, values: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Append states; see ``Cache``. Layers come in order."""
        if layer == len(self.layers):
            self.layers.append((keys, values))
        else:
            old_keys, old_values = self.layers[layer]
            both = torch.cat([old_keys, keys], dim=-2), torch.cat([old_values, values], dim=-2)
            self.layers[layer] = both
        return self.layers[layer]

    def get_seq_length(self) -> int:
        """Positions that are cached."""
        return self.layers[0][0].shape[-2] if self.layers else 0

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""
        self.layers = [
            (keys[..., :length, :], values[..., :length, :]) for keys, values in self.layers
        ]
