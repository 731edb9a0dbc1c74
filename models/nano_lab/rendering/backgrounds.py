"""Backgrounds of scenes: plain, gradient, striped, checked, dotted and speckled."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from nano_lab.rendering.canvas import Colour

GROUNDS: dict[str, Colour] = {
    "white": (255, 255, 255),
    "light grey": (215, 216, 218),
    "cream": (250, 240, 215),
    "light blue": (190, 220, 245),
    "light green": (200, 235, 200),
    "light pink": (252, 215, 225),
    "light purple": (222, 208, 242),
    "dark grey": (66, 68, 72),
    "dark blue": (20, 32, 84),
    "dark green": (16, 66, 40),
}
PATTERNS = ("plain", "plain", "plain", "gradient", "striped", "checked", "dotted", "speckled")


@dataclass(frozen=True, slots=True)
class Background:
    """A painted background. ``words`` is as in "a striped light blue background"."""

    image: Image.Image
    base: Colour
    words: str


def random_background(rng: random.Random, width: int, height: int) -> Background:
    """A background of a random colour and pattern."""
    name = rng.choice(list(GROUNDS)) if rng.random() < 0.75 else "white"
    pattern = rng.choice(PATTERNS)
    red, green, blue = (
        min(255, max(0, part + rng.randint(-6, 6))) if name != "white" else part
        for part in GROUNDS[name]
    )
    base: Colour = (red, green, blue)
    image = Image.new("RGB", (width, height), base)
    step = rng.choice((-1, 1)) * rng.randint(10, 24)
    if sum(base) > 600:
        step = -abs(step)
    if pattern == "gradient":
        image = _gradient(base, 2 * step, width, height, rng)
    elif pattern == "speckled":
        image = _speckled(base, abs(step) / 2, width, height, rng)
    elif pattern != "plain":
        _tile(image, _shift(base, step), pattern, rng)
    return Background(image, base, f"{pattern} {name}")


def _shift(colour: Colour, step: int) -> Colour:
    red, green, blue = (min(255, max(0, part + step)) for part in colour)
    return red, green, blue


def _gradient(base: Colour, step: int, width: int, height: int, rng: random.Random) -> Image.Image:
    other = _shift(base, step)
    if rng.random() < 0.5:
        ramp = Image.linear_gradient("L").resize((width, height))
    else:
        ramp = Image.linear_gradient("L").rotate(90).resize((width, height))
    size = (width, height)
    return Image.composite(Image.new("RGB", size, base), Image.new("RGB", size, other), ramp)


def _speckled(
    base: Colour, spread: float, width: int, height: int, rng: random.Random
) -> Image.Image:
    generator = np.random.default_rng(rng.getrandbits(32))
    grain = generator.integers(-int(spread), int(spread) + 1, (height, width, 1), dtype=np.int16)
    pixels = np.clip(np.asarray(base, dtype=np.int16) + grain, 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def _tile(image: Image.Image, colour: Colour, pattern: str, rng: random.Random) -> None:
    draw = ImageDraw.Draw(image)
    width, height = image.size
    pitch = rng.randint(16, 48)
    if pattern == "striped":
        upright = rng.random() < 0.5
        for start in range(0, width if upright else height, 2 * pitch):
            end = start + pitch - 1
            draw.rectangle(
                (start, 0, end, height) if upright else (0, start, width, end), fill=colour
            )
        return
    for row, y in enumerate(range(0, height, pitch)):
        for column, x in enumerate(range(0, width, pitch)):
            if (row + column) % 2:
                continue
            if pattern == "checked":
                draw.rectangle((x, y, x + pitch - 1, y + pitch - 1), fill=colour)
            else:
                draw.ellipse((x, y, x + pitch // 2, y + pitch // 2), fill=colour)
