"""Palettes: scenes of what comes in any colour, much of it in colours that have no name."""

from __future__ import annotations

import random
from functools import partial

from nano_lab.rendering.draft import Draft
from nano_lab.rendering.kinds.scene import Object, asked_about, paintable_object, random_objects
from nano_lab.rendering.sample import Split
from nano_lab.rendering.scene_turns import naming_turns, some_turns


def draw(rng: random.Random, split: Split) -> Draft:
    """Three to eight shapes and tinted objects, asked about like any scene."""
    return asked_about(_any_colour(rng, split, between=0.5), some_turns, rng, split)


def draw_names(rng: random.Random, split: Split) -> Draft:
    """The same, and what each of them is."""
    return asked_about(_any_colour(rng, split, between=0.6), naming_turns, rng, split)


def _any_colour(rng: random.Random, split: Split, between: float) -> list[Object]:
    drawn = partial(paintable_object, between=between)
    return random_objects(rng, split, rng.randint(3, 8), again=0.2, drawn=drawn)
