"""What a run will ask: every row checked, but for its pictures, before the model is opened."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dvl2_cli.errors import InputError
from dvl2_cli.evaluation.benchmarks.files import BenchmarkFile, rows_of
from dvl2_cli.evaluation.benchmarks.item import Benchmark, BenchmarkItem
from dvl2_cli.evaluation.benchmarks.mmbench import ROTATED_FROM, index_of


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """The questions of a run.

    Attributes:
        benchmark: the set.
        files: that hold it.
        has_rotations: whether the files hold the rotations of a question themselves.
        sizes: unit -> how many questions count together, for the units that are asked.
        rows_left_out: rows of splits that the paper's figure leaves out.
    """

    benchmark: Benchmark
    files: Sequence[BenchmarkFile]
    has_rotations: bool
    sizes: Counter[str]
    rows_left_out: int

    @property
    def questions(self) -> int:
        """How many are asked."""
        return self.sizes.total()

    def items(self) -> Iterator[BenchmarkItem]:
        """The questions, in the order of the files.

        Raises:
            InputError: a file changed, or is damaged.
        """
        for row in rows_of(self.files, with_pictures=True):
            for item in self.benchmark.items(row, self.has_rotations):
                if item.unit in self.sizes:
                    yield item


def make_plan(
    benchmark: Benchmark,
    files: Sequence[BenchmarkFile],
    limit: int | None = None,
    seed: int | None = None,
) -> BenchmarkPlan:
    """Check all rows, and choose which to ask.

    Args:
        benchmark: the set.
        files: that hold it.
        limit: questions (with their rotations) at most.
        seed: of the sample; None takes the first ones.

    Raises:
        InputError: a row cannot be used, two have one id, or there is none.
    """
    has_rotations = benchmark.by_rotation and _has_rotations(files)
    seen: dict[str, int] = {}
    sizes: Counter[str] = Counter()
    left_out = 0
    for row in rows_of(files, with_pictures=False):
        none = True
        for item in benchmark.items(row, has_rotations):
            none = False
            if item.id in seen:
                raise row.wrong(f"the id {item.id} is that of row {seen[item.id]} too")
            seen[item.id] = row.place
            sizes[item.unit] += 1
        left_out += none
    if not sizes:
        raise InputError(f"{files[0].path}: there is no row to ask about")
    return BenchmarkPlan(benchmark, files, has_rotations, _chosen(sizes, limit, seed), left_out)


def _has_rotations(files: Sequence[BenchmarkFile]) -> bool:
    return any(index_of(row) >= ROTATED_FROM for row in rows_of(files, with_pictures=False))


def _chosen(sizes: Counter[str], limit: int | None, seed: int | None) -> Counter[str]:
    units = list(sizes)
    if limit is None or limit >= len(units):
        return sizes
    units = units[:limit] if seed is None else random.Random(seed).sample(units, limit)  # noqa: S311
    return Counter({unit: sizes[unit] for unit in units})
