"""What one forward and backward pass works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """Which of the batch's tiles an image is made of: thumbnail, then local tiles."""

    tiles: tuple[int, ...]
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of a micro-batch: ``of`` int64 [B, T] says which one a token is read from,
    -1 for none; ``rows`` int64 [N] is the row that each is in, ``areas`` bool [N, T] where that
    shows it, ``facts`` float32 [N, 6].
    """

    of: Tensor
    rows: Tensor
    areas: Tensor
    facts: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> Objects:
        """Every tensor changed."""
        return Objects(*(change(getattr(self, item.name)) for item in fields(self)))


@dataclass(frozen=True, slots=True)
class Tallies:
    """Where something is counted: int64 ``rows`` and ``positions`` [M] of the token before the
    number, and the ``places`` [M, K] in the row of what is counted, filled with -1.
    """

    rows: Tensor
    positions: Tensor
    places: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> Tallies:
        """Every tensor changed."""
        return Tallies(*(change(getattr(self, item.name)) for item in fields(self)))


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Samples of similar length, or packed into rows.

    ``tiles`` uint8 [N, 3, S, S], each distinct picture once; ``dense`` int16
    [N, 196, 14] glyph labels and ``things`` float32 [N, 196, 6] object labels, -1 where
    nothing is known; ``shown`` and ``places`` int64 [S] say what the tokens of all images in
    ``ids`` show, see ``layout.lay_out``; ``ids``, ``labels`` int64 [B, T] (labels not shifted, -100
    not learned); ``positions`` int64 [B, T] and ``segments`` int64
    [B, T] number the samples of a packed row, 0 is padding.
    ``segments`` is None for rows that hold one sample each, padded on the right. ``pointers`` int64
    [B, T] is the position in its row that each token is read from, or -1, ``bins`` the
    glyph bin within that cell. ``branches`` int64 [B, T] numbers what follows a picture and
    does not see each other; 0 is seen by all of the row. ``objects`` are those that tokens
    are read from; ``mentions`` int64 [B, T, 2] are the classes of the name and the colour that
    end with a token, -1 for none; ``tallies`` is where they are counted. ``excluded`` int64
    [M, 3] are rows, positions and tokens that the token there is not told apart from, and
    ``unseen`` bool [colours, names] the like for the classes of objects. Without a decoder's part,
    ``ids`` has no rows.
    """

    tiles: Tensor
    dense: Tensor | None
    shown: Tensor
    places: Tensor
    ids: Tensor
    labels: Tensor
    positions: Tensor
    segments: Tensor | None
    pointers: Tensor | None = None
    bins: Tensor | None = None
    things: Tensor | None = None
    branches: Tensor | None = None
    objects: Objects | None = None
    mentions: Tensor | None = None
    tallies: Tallies | None = None
    excluded: Tensor | None = None
    unseen: Tensor | None = None

    def to(self, device: torch.device) -> MicroBatch:
        """The batch on ``device``."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> MicroBatch:
        """The batch in memory that a device can copy from by itself; see ``DataLoader``."""
        return self._each(Tensor.pin_memory)

    @property
    def answer_tokens(self) -> int:
        """Labels that the language loss sums over."""
        return int((self.labels[:, 1:] != -100).sum())

    def _each(self, change: Callable[[Tensor], Tensor]) -> MicroBatch:
        changed = {item.name: getattr(self, item.name) for item in fields(self)}
        for name, value in changed.items():
            if isinstance(value, Objects | Tallies):
                changed[name] = value.each(change)
            elif isinstance(value, Tensor):
                changed[name] = change(value)
        return MicroBatch(**changed)
