"""Palettes: scenes of what comes in any colour, half of it in colours that have no name."""

from __future__ import annotations

import random

from dvl2_cli.rendering.draft import Draft
from dvl2_cli.rendering.kinds.scene import (
    compose,
    paintable_object,
    random_objects,
    random_size,
)
from dvl2_cli.rendering.sample import Split
from dvl2_cli.rendering.scene_turns import some_turns
from dvl2_cli.rendering.wear import random_wear


def draw(rng: random.Random, split: Split) -> Draft:
    """Three to eight shapes and tinted objects, asked about like any scene."""
    objects = random_objects(rng, split, rng.randint(3, 8), again=0.2, drawn=paintable_object)
    canvas, background = compose(objects, random_size(rng), rng)
    turns = some_turns(canvas, background.words, rng, split)
    return Draft(canvas, turns, background.base, random_wear(rng, 0.3, rotate=False))
