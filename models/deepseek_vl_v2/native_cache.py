"""The cache of one sequence that the compiled kernels decode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepseek_vl_v2.kernels.structures import Row


@dataclass(frozen=True, slots=True)
class CacheForm:
    """What a model caches for each position.

    Attributes:
        layers: of the decoder.
        heads: of keys and values; 1 where attention is latent.
        width: elements of a head, or of latent and rotated key, padded.
        has_values: whether values are kept beside keys; latents stand for both.
        dtype: bfloat16, or float32 for a float32 model.
    """

    layers: int
    heads: int
    width: int
    has_values: bool
    dtype: torch.dtype

    @property
    def bytes_per_token(self) -> int:
        """Bytes that one position takes, all layers together."""
        arrays = 2 if self.has_values else 1
        return arrays * self.layers * self.heads * self.width * self.dtype.itemsize


class NativeCache:
    """Keys and values of one sequence: [layers, heads, capacity, width] each.

    A page of it takes no memory until it is written.

    Args:
        form: of the model.
        capacity: most positions, 1 or more.
    """

    def __init__(self, form: CacheForm, capacity: int) -> None:
        shape = (form.layers, form.heads, capacity, form.width)
        self.keys = _untouched_zeros(shape, form.dtype)
        self.values = _untouched_zeros(shape if form.has_values else (0, 0, 0, 0), form.dtype)
        self.capacity = capacity
        self.length = 0
        self.bytes_per_token = form.bytes_per_token

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""
        self.length = min(self.length, max(length, 0))

    def copy_prefix(self, source: NativeCache, length: int) -> None:
        """Take the first ``length`` positions of another sequence in place of all that is here."""
        self.keys[:, :, :length] = source.keys[:, :, :length]
        if len(self.values):
            self.values[:, :, :length] = source.values[:, :, :length]
        self.length = length

    def row(self, position: int) -> Row:
        """Where the kernels find ``position``."""
        latent = not len(self.values)
        return Row(
            keys=self.keys.data_ptr(),
            values=self.values.data_ptr(),
            layer_stride=self.keys.stride(0),
            head_stride=0 if latent else self.keys.stride(1),
            position=position,
        )

    def check_room(self, count: int) -> None:
        """Refuse ``count`` more positions where they do not fit.

        Raises:
            ValueError: they do not.
        """
        if self.length + count > self.capacity:
            raise ValueError(
                f"{count} more tokens after {self.length} exceed the cache of {self.capacity}"
            )


def _untouched_zeros(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Zeros that take no memory until a page is written; ``torch.zeros`` writes them all."""
    same_size = np.float32 if dtype is torch.float32 else np.uint16
    return torch.from_numpy(np.zeros(shape, same_size)).view(dtype)
