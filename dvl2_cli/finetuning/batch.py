"""What one forward and backward pass works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """Which of the batch's tiles an image is made of: thumbnail, then local tiles."""

    tiles: tuple[int, ...]
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class TensorGroup:
    """A dataclass whose fields are tensors, groups of tensors, or None."""

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy with every tensor changed."""
        return type(self)(
            **{item.name: _changed(getattr(self, item.name), change) for item in fields(self)}
        )


@dataclass(frozen=True, slots=True)
class MicroBatch(TensorGroup):
    """Samples of similar length, one a row and padded on the right, or packed into rows.

    Attributes:
        tiles: uint8 [N, 3, S, S], each distinct picture once.
        shown: int64 [S], the tile and cell that every image token in ``ids`` shows; see
            ``layout.shown_cells``.
        ids: int64 [B, T].
        labels: int64 [B, T], not shifted, -100 where nothing is learned.
        positions: int64 [B, T].
        packing_ids: int64 [B, T], numbers the samples of a packed row, 0 is padding; None for
            rows that hold one sample each.
    """

    tiles: Tensor
    shown: Tensor
    ids: Tensor
    labels: Tensor
    positions: Tensor
    packing_ids: Tensor | None = None

    def to(self, device: torch.device) -> Self:
        """The batch on ``device``."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """The batch in memory that a device can copy from by itself; see ``DataLoader``."""
        return self.each(Tensor.pin_memory)

    @property
    def answer_tokens(self) -> int:
        """Labels that the language loss sums over."""
        return int((self.labels[:, 1:] != -100).sum())

    @property
    def tokens(self) -> int:
        """Tokens that a pass works on, padding included."""
        return self.ids.numel()


def _changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, TensorGroup):
        return value.each(change)
    return change(value) if isinstance(value, Tensor) else value
