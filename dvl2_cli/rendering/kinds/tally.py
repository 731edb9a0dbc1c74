"""Tallies: scenes with many objects alike, and questions how many, which, and whether."""

from __future__ import annotations

import random
from collections.abc import Callable

from dvl2_cli.rendering.canvas import Canvas
from dvl2_cli.rendering.draft import Draft
from dvl2_cli.rendering.kinds.scene import compose, random_objects, random_size
from dvl2_cli.rendering.sample import Split, Turn
from dvl2_cli.rendering.scene_turns import counting_turns, how_many_turns
from dvl2_cli.rendering.wear import random_wear

# Of the objects so many repeat another one.
_AGAIN = 0.55

Asked = Callable[[Canvas, str, random.Random, Split], tuple[Turn, ...]]


def draw(rng: random.Random, split: Split) -> Draft:
    """One to eight objects, about half of them like another one, without captions."""
    return _draw(rng, split, counting_turns)


def draw_count(rng: random.Random, split: Split) -> Draft:
    """The same, and only questions how many there are."""
    return _draw(rng, split, how_many_turns)


def _draw(rng: random.Random, split: Split, asked: Asked) -> Draft:
    objects = random_objects(rng, split, again=_AGAIN)
    canvas, background = compose(objects, random_size(rng), rng)
    turns = asked(canvas, background.words, rng, split)
    return Draft(canvas, turns, background.base, random_wear(rng, 0.3, rotate=False))
