"""Crowds: a tile full of small objects, so that the tower sees many of them at a time."""

from __future__ import annotations

import random

from nano_lab.rendering.draft import Draft
from nano_lab.rendering.kinds.scene import compose, random_objects
from nano_lab.rendering.kinds.words import TILE
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.wear import random_wear

_MOST = 20


def draw(rng: random.Random, split: Split) -> Draft:
    """As many objects as find room, of at most _MOST tried, and the question how many."""
    objects = random_objects(rng, split, _MOST)
    canvas, background = compose(objects, (TILE, TILE), rng, crowded=True)
    turn = Turn("How many objects are there?", str(len(canvas.objects)), "count")
    return Draft(canvas, (turn,), background.base, random_wear(rng, 0.3, rotate=False))
