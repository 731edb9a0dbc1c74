"""Counting: where an answer says how many objects there are, or whether another one is left.

Before the number stands a token whose attention can be spread over all that is counted. It is
taught to fall on one place for each object, its middle, and on the row's first token, in equal
shares: the share of the first token then tells the number. Likewise after each box or name of a
list: what is left to be told is counted before going on or ending.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nano_lab.pretraining.attention_targets import BOX, BOXED, Spot
from nano_lab.pretraining.batch import CountingTargets
from nano_lab.rendering.sample import Turn

# Answers that tell every object, one after the other.
_LISTS = frozenset({"caption", "caption-long"})


@dataclass(frozen=True, slots=True)
class CountedPlaces:
    """The position of the token before the number, and the places of what is counted."""

    position: int
    places: tuple[int, ...]


def counted_spots(turn: Turn, size: tuple[int, int]) -> Iterator[tuple[int, list[Spot]]]:
    """Characters of the answer that depend on a number, and the middles (pixels) of what is
    counted there.
    """
    if turn.counted is not None:
        yield 0, [(x * size[0], y * size[1]) for x, y in turn.counted]
    if turn.task in _LISTS:
        named = [(mention.x * size[0], mention.y * size[1]) for mention in turn.mentions]
        for told, mention in enumerate(turn.mentions, 1):
            yield mention.end, named[told:]
    for boxed in BOXED.finditer(turn.answer):
        boxes = list(BOX.finditer(boxed.group()))
        middles = [_middle([int(part) for part in box.groups()], size) for box in boxes]
        for told, box in enumerate(boxes, 1):
            # Nano's last box ends with "]]", a token of its own.
            yield boxed.start() + box.end() - 1, middles[told:]


def _middle(box: Sequence[int], size: tuple[int, int]) -> Spot:
    x0, y0, x1, y1 = box
    return (x0 + x1) / 1998 * size[0], (y0 + y1) / 1998 * size[1]


def join_counting(samples: Sequence[Sequence[CountedPlaces]]) -> CountingTargets | None:
    """The tallies of rows; None where nothing is counted."""
    known = [(row, counting) for row, own in enumerate(samples) for counting in own]
    if not known:
        return None
    most = max(1, *(len(counting.places) for _, counting in known))
    places = torch.full((len(known), most), -1)
    for index, (_, counting) in enumerate(known):
        places[index, : len(counting.places)] = torch.tensor(counting.places, dtype=torch.long)
    rows = torch.tensor([row for row, _ in known])
    return CountingTargets(rows, torch.tensor([counting.position for _, counting in known]), places)


def counting_loss(
    query: Tensor, key: Tensor, counted_at: CountingTargets, branches: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy of one head's attention, and how many counts its first share tells.

    Args:
        query: scaled queries [B, T, D] of the head.
        key: its keys [B, T, D].
        counted_at: what is counted, and where.
        branches: int64 [B, T], see ``PretrainingBatch``.
    """
    rows, positions = counted_at.rows, counted_at.positions
    asking = query[rows, positions]
    scores = torch.einsum("md,mtd->mt", asking, key[rows]).float()
    visible = torch.arange(key.shape[1], device=key.device) <= positions[:, None]
    if branches is not None:
        own = branches[rows, positions]
        visible &= (branches[rows] == own[:, None]) | (branches[rows] == 0)
    shares = scores.masked_fill(~visible, torch.finfo(torch.float32).min).log_softmax(-1)
    wanted = functional.pad(counted_at.places, (1, 0), value=0)
    counted = wanted >= 0
    found = shares.gather(1, wanted.clamp(min=0)) * counted
    number = counted.sum(1)
    loss = -(found.sum(1) / number).sum()
    told = (1 / shares[:, 0].detach().exp()).round() == number
    return loss, told.sum()
