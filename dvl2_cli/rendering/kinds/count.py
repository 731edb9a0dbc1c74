"""Counts: scenes with many objects alike, and only questions how many there are."""

from __future__ import annotations

import random

from dvl2_cli.rendering.draft import Draft
from dvl2_cli.rendering.kinds.scene import compose, random_objects, random_size
from dvl2_cli.rendering.kinds.tally import AGAIN
from dvl2_cli.rendering.sample import Split
from dvl2_cli.rendering.scene_turns import how_many_turns
from dvl2_cli.rendering.wear import random_wear


def draw(rng: random.Random, split: Split) -> Draft:
    """One to eight objects, about half of them like another one."""
    canvas, background = compose(random_objects(rng, split, again=AGAIN), random_size(rng), rng)
    turns = how_many_turns(canvas, background.words, rng, split)
    return Draft(canvas, turns, background.base, random_wear(rng, 0.3, rotate=False))
