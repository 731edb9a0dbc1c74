"""Scenes: up to eight objects with colours, sizes and places on a background."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image

from nano_lab.rendering.backgrounds import Background, random_background
from nano_lab.rendering.canvas import Canvas, Colour
from nano_lab.rendering.catalogue import COLOURS, EMOJI, SHAPES, TINTS, Emoji
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.held_out import (
    HELD_OUT_SHAPES,
    HELD_OUT_TINTS,
    HELD_OUT_TOGETHER,
    is_held_out,
)
from nano_lab.rendering.places import place_of
from nano_lab.rendering.sample import Box, SceneObject, Split, Turn
from nano_lab.rendering.scene_turns import all_turns, some_turns
from nano_lab.rendering.sprites import emoji_sprite, fitted, painted_sprite, shape_sprite
from nano_lab.rendering.unnamed import unnamed_colour
from nano_lab.rendering.wear import random_wear

_SIZES = {"small": (0.13, 0.17), "medium": (0.2, 0.26), "large": (0.33, 0.42)}
_CANVASES = ((384, 384),) * 6 + ((512, 384), (384, 512), (768, 512), (640, 640))
# Of the objects that come in any colour so many have one without a name, in training.
_BETWEEN_SHARE = 0.3
_TINTABLE = tuple(emoji for emoji in EMOJI if emoji.tintable)
_BY_NAME = {emoji.name: emoji for emoji in EMOJI}

Asked = Callable[[Canvas, str, random.Random, Split], tuple[Turn, ...]]


@dataclass(frozen=True, slots=True)
class Object:
    """What is to be drawn: an emoji in a tint, or a shape in a colour.

    ``between`` is a colour without a name, and ``colour`` then None.
    """

    name: str
    colour: str | None
    emoji: Emoji | None
    between: Colour | None = None

    @classmethod
    def of(cls, item: SceneObject) -> Object:
        """The object that was drawn as ``item``."""
        return cls(item.name, item.colour, _BY_NAME.get(item.name), item.between)


def draw(rng: random.Random, split: Split) -> Draft:
    """Objects that do not hide each other (one scene in four overlaps a little)."""
    size = random_size(rng)
    canvas, background = compose(random_objects(rng, split), size, rng)
    wear = random_wear(rng, 0.3, rotate=False)
    turns = all_turns if split == "test" else some_turns
    return Draft(canvas, turns(canvas, background.words, rng, split), background.base, wear)


def asked_about(objects: list[Object], ask: Asked, rng: random.Random, split: Split) -> Draft:
    """A scene of the objects, of any size, with the turns that ``ask`` makes."""
    canvas, background = compose(objects, random_size(rng), rng)
    turns = ask(canvas, background.words, rng, split)
    return Draft(canvas, turns, background.base, random_wear(rng, 0.3, rotate=False))


def random_size(rng: random.Random) -> tuple[int, int]:
    """Width and height of a scene."""
    return rng.choice(_CANVASES)


def compose(
    objects: list[Object], size: tuple[int, int], rng: random.Random, *, crowded: bool = False
) -> tuple[Canvas, Background]:
    """Draw the objects on a background of ``size``; those that find no room are left out.

    ``crowded``: objects are smaller, and may be anywhere.
    """
    background = _fitting_background(objects, rng, *size)
    canvas = Canvas(background.image)
    overlap = 0.15 if rng.random() < 0.25 else 0.0
    for item in objects:
        if _shows(item, background.base):
            _add(canvas, item, overlap, rng, crowded=crowded)
    return canvas, background


def random_objects(
    rng: random.Random,
    split: Split,
    count: int = 0,
    again: float = 0.3,
    drawn: Callable[[random.Random, Split], Object] | None = None,
) -> list[Object]:
    """``count`` or one to eight objects, at least two in the test split; the share ``again`` of
    them are like another one. ``drawn`` makes one, or any object of the catalogue is.
    """
    drawn = drawn or _random_object
    count = count or rng.choice((1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8))
    chosen: list[Object] = []
    if split == "test":
        count = max(2, count)
        chosen = _held_out(rng)
    while len(chosen) < count:
        # Repeats make counting, and "find all", worth asking.
        repeats = chosen and rng.random() < again
        candidate = rng.choice(chosen) if repeats else drawn(rng, split)
        if split == "test" or _allowed(candidate, chosen):
            chosen.append(candidate)
    rng.shuffle(chosen)
    return chosen


def _random_object(rng: random.Random, split: Split) -> Object:
    chosen = _named_object(rng)
    # What an object is must not be told by its colour alone.
    tinted = chosen.emoji is None or chosen.emoji.tintable
    if split == "train" and tinted and rng.random() < _BETWEEN_SHARE:
        return replace(chosen, colour=None, between=unnamed_colour(rng))
    return chosen


def paintable_object(rng: random.Random, split: Split, *, between: float) -> Object:
    """A shape, or an object that comes in any colour; in training the share ``between`` (0..1)
    of them has a colour without a name.
    """
    emoji = rng.choice(_TINTABLE) if rng.random() < 0.45 else None
    name = emoji.name if emoji else rng.choice(SHAPES)
    if split == "train" and rng.random() < between:
        return Object(name, None, emoji, unnamed_colour(rng))
    return Object(name, rng.choice(list(TINTS if emoji else COLOURS)), emoji)


def _named_object(rng: random.Random) -> Object:
    if rng.random() < 0.4:
        return Object(rng.choice(SHAPES), rng.choice(list(COLOURS)), None)
    emoji = rng.choice(EMOJI)
    if rng.random() < 0.12:
        emoji = rng.choice(_TINTABLE)
    if emoji.tintable:
        return Object(emoji.name, rng.choice(list(TINTS)), emoji)
    return Object(emoji.name, emoji.colour, emoji)


def _allowed(candidate: Object, others: list[Object]) -> bool:
    """Whether a training scene may hold ``candidate`` beside ``others``."""
    if is_held_out(candidate.colour or "", candidate.name):
        return False
    return all(frozenset((candidate.name, other.name)) not in HELD_OUT_TOGETHER for other in others)


def _held_out(rng: random.Random) -> list[Object]:
    """What every test scene holds at least: a pair or a pair that training never shows."""
    roll = rng.random()
    if roll < 0.35:
        colour, name = rng.choice(sorted(HELD_OUT_SHAPES))
        return [Object(name, colour, None)]
    if roll < 0.6:
        colour, name = rng.choice(sorted(HELD_OUT_TINTS))
        return [Object(name, colour, _BY_NAME[name])]
    pair = rng.choice(sorted(sorted(names) for names in HELD_OUT_TOGETHER))
    return [
        Object(name, "red" if _BY_NAME[name].tintable else _BY_NAME[name].colour, _BY_NAME[name])
        for name in pair
    ]


def _shows(item: Object, ground: Colour) -> bool:
    """Whether a shape stands out from the background; emoji have outlines and always do."""
    if item.emoji is not None:
        return True
    colour = _paint(item)
    return sum(abs(a - b) for a, b in zip(colour, ground, strict=True)) >= 150


def _fitting_background(
    objects: list[Object], rng: random.Random, width: int, height: int
) -> Background:
    """A background that all shapes stand out from, or after ten tries at least the first."""
    for attempt in itertools.count():
        background = random_background(rng, width, height)
        needed = objects if attempt < 10 else objects[:1]
        if all(_shows(item, background.base) for item in needed):
            break
    return background


def _add(
    canvas: Canvas, item: Object, overlap: float, rng: random.Random, *, crowded: bool
) -> None:
    """Draw the object where there is room; left out when there is none after many tries."""
    width, height = canvas.size
    for attempt in range(60):
        size_name = rng.choice(_sizes_to_try(attempt, crowded=crowded))
        low, high = _SIZES[size_name]
        side = round(min(width, height) * rng.uniform(low, high))
        left, top = rng.randint(2, width - side - 2), rng.randint(2, height - side - 2)
        rough = (left, top, left + side, top + side)
        if any(_hidden(rough, other.box) > overlap for other in canvas.objects):
            continue
        sprite = _sprite(item, side, rng)
        box = (left, top, left + sprite.width, top + sprite.height)
        place = place_of(box, width, height)
        if place is None and attempt < 40 and not crowded:
            continue
        canvas.image.paste(sprite, (left, top), sprite)
        canvas.objects.append(
            SceneObject(item.name, item.colour, box, place, size_name, item.between)
        )
        return


def _sizes_to_try(attempt: int, *, crowded: bool) -> tuple[str, ...]:
    if crowded:
        return ("small", "small", "medium")
    return ("small", "medium", "medium", "large") if attempt < 12 else ("small", "medium")


def _hidden(box: Box, other: Box) -> float:
    """The overlap as a fraction of the smaller box, 0..1."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return width * height / min(areas)


def _sprite(item: Object, side: int, rng: random.Random) -> Image.Image:
    if item.emoji is not None:
        return fitted(_emoji(item.emoji, item), side, rng)
    red, green, blue = (min(255, max(0, part + rng.randint(-12, 12))) for part in _paint(item))
    return shape_sprite(item.name, (red, green, blue), side, rng)


def _emoji(emoji: Emoji, item: Object) -> Image.Image:
    if item.between:
        return painted_sprite(emoji, item.between)
    return emoji_sprite(emoji, item.colour if emoji.tintable else None)


def _paint(shape: Object) -> Colour:
    return shape.between or COLOURS[str(shape.colour)]
