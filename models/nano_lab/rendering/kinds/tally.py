"""Tallies: scenes with many objects alike, and questions how many, which, and whether."""

from __future__ import annotations

import random

from nano_lab.rendering.draft import Draft
from nano_lab.rendering.kinds.scene import Object, asked_about, random_objects
from nano_lab.rendering.sample import Split
from nano_lab.rendering.scene_turns import counting_turns, how_many_turns

# Of the objects so many repeat another one.
_AGAIN = 0.55


def draw(rng: random.Random, split: Split) -> Draft:
    """One to eight objects, about half of them like another one, without captions."""
    return asked_about(_alike(rng, split), counting_turns, rng, split)


def draw_count(rng: random.Random, split: Split) -> Draft:
    """The same, and only questions how many there are."""
    return asked_about(_alike(rng, split), how_many_turns, rng, split)


def _alike(rng: random.Random, split: Split) -> list[Object]:
    return random_objects(rng, split, again=_AGAIN)
