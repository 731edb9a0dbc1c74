"""What nano is before its first step."""

from __future__ import annotations

from dvl2_cli.finetuning.recipe import Recipe
from dvl2_cli.store.places import nano_folder
from dvl2_cli.store.policy import read_policy
from nano_lab.pretraining.fresh_nano import FRESH_NANO, FreshNano


def test_a_fresh_nano_is_asked_as_the_bundled_one() -> None:
    bundled = nano_folder()
    assert bundled is not None
    fresh, wanted = FreshNano(Recipe("r", FRESH_NANO, ())).policy, read_policy(bundled)
    assert (fresh.reads, fresh.print_height) == (wanted.reads, wanted.print_height)
    assert (fresh.refine_boxes, fresh.count_by_boxes) == (
        wanted.refine_boxes,
        wanted.count_by_boxes,
    )
