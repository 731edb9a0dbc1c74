"""Which rows share a micro-batch: all of them once an epoch, within bounds, by the seed alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.finetuning.plan import BatchPlan, Extent
from dvl2_cli.finetuning.recipe import Stage

EXTENTS = st.lists(st.builds(Extent, st.integers(1, 900), st.integers(0, 10)), min_size=1)


def _stage(packing: Any, tokens: int = 1000, tiles: int = 12) -> Stage:
    return Stage("s", 1e-3, steps=1, tokens=tokens, tiles=tiles, packing=packing, micro_batches=2)


@given(EXTENTS, st.sampled_from(["pad", "pack"]), st.integers(0, 5))
def test_every_row_is_there_once_and_bounds_hold(
    extents: list[Extent], packing: str, epoch: int
) -> None:
    groups = BatchPlan(extents, _stage(packing), 7).epoch(epoch)
    assert sorted(row for group in groups for row in group) == list(range(len(extents)))
    for group in groups:
        rows = [extents[row] for row in group]
        tokens = [row.tokens for row in rows]
        taken = sum(tokens) if packing == "pack" else max(tokens) * len(rows)
        assert len(group) == 1 or (taken <= 1000 and sum(row.tiles for row in rows) <= 12)


def test_the_seed_and_the_epoch_decide_the_order() -> None:
    extents = [Extent(300, 1)] * 40
    plan, same = BatchPlan(extents, _stage("pad"), 1), BatchPlan(extents, _stage("pad"), 1)
    numbers = range(3 * len(plan.epoch(0)))
    assert [plan.group(n) for n in numbers] == [same.group(n) for n in reversed(numbers)][::-1]
    assert plan.epoch(0) != plan.epoch(1)
    assert plan.epoch(0) != BatchPlan(extents, _stage("pad"), 2).epoch(0)


def test_packing_wastes_little() -> None:
    extents = [Extent(length, 1) for length in (900, 100, 500, 500, 800, 200, 990)]
    groups = BatchPlan(extents, _stage("pack"), 0).epoch(0)
    assert len(groups) == 4


def test_steps_of_epochs_cover_every_row() -> None:
    extents = [Extent(900, 1)] * 5
    plan = BatchPlan(extents, _stage("pad"), 0)
    assert plan.steps(1) == 3
    assert plan.steps(2) == 5
    seen = [row for number in range(10) for row in plan.group(number)]
    assert sorted(seen) == sorted([*range(5), *range(5)])
