"""Tallies: scenes with many objects alike, and questions how many, which, and whether."""

from __future__ import annotations

import random

from dvl2_cli.rendering.draft import Draft
from dvl2_cli.rendering.kinds.scene import compose, random_objects, random_size
from dvl2_cli.rendering.sample import Split
from dvl2_cli.rendering.scene_turns import counting_turns
from dvl2_cli.rendering.wear import random_wear

# Of the objects so many repeat another one.
AGAIN = 0.55


def draw(rng: random.Random, split: Split) -> Draft:
    """One to eight objects, about half of them like another one, without captions."""
    objects = random_objects(rng, split, again=AGAIN)
    canvas, background = compose(objects, random_size(rng), rng)
    turns = counting_turns(canvas, background.words, rng, split)
    return Draft(canvas, turns, background.base, random_wear(rng, 0.3, rotate=False))
