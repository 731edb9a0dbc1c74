"""In-context grounding: an object shown in a first picture is found in a second."""

from __future__ import annotations

import random

from dvl2_cli.prompts import locate_like
from nano_lab.rendering.boxes import tagged
from nano_lab.rendering.canvas import Canvas
from nano_lab.rendering.catalogue import with_article
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.kinds.scene import Object, compose, random_objects
from nano_lab.rendering.kinds.words import TILE
from nano_lab.rendering.sample import SceneObject, Split, Turn
from nano_lab.rendering.wear import random_wear


def draw(rng: random.Random, split: Split) -> Draft:
    """A scene, and a picture of one of its objects alone, drawn anew."""
    canvas, background = compose(random_objects(rng, split), (TILE, TILE), rng)
    wanted = rng.choice(canvas.objects)
    shown = _alone(wanted, rng)
    phrase = rng.choice(("an object", with_article(wanted.name)))
    boxes = [item.box for item in canvas.objects if _same(item, wanted)]
    answer = tagged(f"the {wanted.name}", boxes, canvas.size)
    turn = Turn(locate_like(phrase), answer, "locate-like")
    wear = random_wear(rng, 0.3, rotate=False)
    return Draft(canvas, (turn,), background.base, wear, shown.image)


def _alone(item: SceneObject, rng: random.Random) -> Canvas:
    canvas, _ = compose([Object.of(item)], (TILE, TILE), rng)
    return canvas


def _same(one: SceneObject, other: SceneObject) -> bool:
    return (one.name, one.colour) == (other.name, other.colour)
