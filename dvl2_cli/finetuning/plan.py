"""Which rows go into which micro-batch: decided by the seed alone, before anything is opened."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dvl2_cli.finetuning.recipe import Stage

# So many rows are sorted by length together, so that little is padded or left empty.
BLOCK = 64

Group = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Extent:
    """What a conversation takes of a micro-batch: ``tokens`` and distinct ``tiles``."""

    tokens: int
    tiles: int


class BatchPlan:
    """Micro-batches in order, epoch after epoch; each epoch shuffles the rows anew.

    A micro-batch holds one row at least, even if that alone is over the stage's bounds.
    """

    def __init__(self, extents: Sequence[Extent], stage: Stage, seed: int) -> None:
        self.extents, self.stage, self.seed = extents, stage, seed
        self._epochs: list[list[Group]] = []

    def group(self, number: int) -> Group:
        """Indices of the rows of micro-batch ``number``."""
        epoch = 0
        while number >= len(self.epoch(epoch)):
            number -= len(self.epoch(epoch))
            epoch += 1
        return self.epoch(epoch)[number]

    def steps(self, epochs: int) -> int:
        """Steps that see every row ``epochs`` times; the last one may begin another epoch."""
        total = sum(len(self.epoch(epoch)) for epoch in range(epochs))
        return -(-total // self.stage.micro_batches)

    def epoch(self, epoch: int) -> list[Group]:
        """All groups of an epoch."""
        while len(self._epochs) <= epoch:
            rng = random.Random(f"{self.seed}/{self.stage.name}/{len(self._epochs)}")  # noqa: S311
            order = list(range(len(self.extents)))
            rng.shuffle(order)
            groups = self._packed(order) if self.stage.packing == "pack" else self._padded(order)
            rng.shuffle(groups)
            self._epochs.append(groups)
        return self._epochs[epoch]

    def _padded(self, order: list[int]) -> list[Group]:
        """Neighbours in length, as many as fit when all are as long as the longest."""
        groups: list[Group] = []
        for block in self._blocks(order):
            group: list[int] = []
            for row in block:
                longest = self.extents[row].tokens
                if group and not self._fits([*group, row], longest * (len(group) + 1)):
                    groups.append(tuple(group))
                    group = []
                group.append(row)
            groups.append(tuple(group))
        return groups

    def _packed(self, order: list[int]) -> list[Group]:
        """Of a block the longest first, each to the first group that has room for it."""
        groups: list[Group] = []
        for block in self._blocks(order):
            opened: list[list[int]] = []
            for row in reversed(block):
                for group in opened:
                    if self._fits([*group, row], self._tokens([*group, row])):
                        group.append(row)
                        break
                else:
                    opened.append([row])
            groups += [tuple(group) for group in opened]
        return groups

    def _blocks(self, order: list[int]) -> Iterator[list[int]]:
        """Runs of BLOCK rows, each sorted by length."""
        for start in range(0, len(order), BLOCK):
            yield sorted(order[start : start + BLOCK], key=lambda row: self.extents[row].tokens)

    def _fits(self, group: Sequence[int], tokens: int) -> bool:
        tiles = sum(self.extents[row].tiles for row in group)
        return tokens <= self.stage.tokens and tiles <= self.stage.tiles

    def _tokens(self, group: Sequence[int]) -> int:
        return sum(self.extents[row].tokens for row in group)
