"""Light damage: slight rotation, blur, noise, uneven light and JPEG."""

from __future__ import annotations

import functools
import io
import math
import random
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from nano_lab.rendering.canvas import Canvas, Colour
from nano_lab.rendering.sample import Box

_BANK = 1536  # the noise bank is wider than any page, so that a crop always fits


@dataclass(frozen=True, slots=True)
class Wear:
    """What happens to a picture; zeros leave it as it is.

    ``degrees`` of rotation (at most 3), ``blur`` radius in pixels, ``noise`` standard
    deviation in grey levels, ``shade`` grey levels from one side to the other, ``jpeg``
    quality or 0.
    """

    degrees: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    shade: float = 0.0
    jpeg: int = 0


CLEAN = Wear()


def random_wear(rng: random.Random, chance: float = 0.4, *, rotate: bool = True) -> Wear:
    """Nothing with probability 1 - ``chance``, else one or more kinds of damage."""
    if rng.random() >= chance:
        return CLEAN
    return Wear(
        degrees=rng.uniform(-3, 3) if rotate and rng.random() < 0.3 else 0.0,
        blur=rng.uniform(0.3, 0.9) if rng.random() < 0.3 else 0.0,
        noise=rng.uniform(2, 14) if rng.random() < 0.45 else 0.0,
        shade=rng.uniform(-50, 50) if rng.random() < 0.3 else 0.0,
        jpeg=rng.randint(35, 92) if rng.random() < 0.5 else 0,
    )


def apply(canvas: Canvas, wear: Wear, paper: Colour, rng: random.Random) -> None:
    """Damage the canvas' image in place; glyph boxes follow the rotation."""
    if wear.degrees:
        _rotate(canvas, wear.degrees, paper)
    image = canvas.image
    if wear.blur:
        image = image.filter(ImageFilter.GaussianBlur(wear.blur))
    if wear.noise or wear.shade:
        image = _disturb(image, wear, rng)
    if wear.jpeg:
        image = _compress(image, wear.jpeg)
    canvas.image = image


def _rotate(canvas: Canvas, degrees: float, paper: Colour) -> None:
    width, height = canvas.size
    # PIL turns counter-clockwise about the centre of the picture.
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle_x, middle_y = width / 2, height / 2

    def turn(box: Box) -> Box:
        x = (box[0] + box[2]) / 2 - middle_x
        y = (box[1] + box[3]) / 2 - middle_y
        half_w, half_h = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
        x, y = x * cosine + y * sine + middle_x, y * cosine - x * sine + middle_y
        return (x - half_w, y - half_h, x + half_w, y + half_h)

    turned = [replace(glyph, box=turn(glyph.box)) for glyph in canvas.glyphs]
    if any(_outside(glyph.box, width, height) for glyph in turned):
        return  # text that runs to the edge stays straight rather than cut
    canvas.glyphs = turned
    canvas.image = canvas.image.rotate(degrees, resample=Image.Resampling.BILINEAR, fillcolor=paper)


def _outside(box: Box, width: int, height: int) -> bool:
    return box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height


@functools.cache
def _noise_bank() -> NDArray[np.float32]:
    # Drawing fresh normals for every picture would cost more than drawing its text.
    generator = np.random.default_rng(20261124)
    return generator.standard_normal((_BANK, _BANK), dtype=np.float32)


def _disturb(image: Image.Image, wear: Wear, rng: random.Random) -> Image.Image:
    width, height = image.size
    change = np.zeros((height, width), dtype=np.float32)
    if wear.noise:
        x, y = rng.randrange(_BANK - width), rng.randrange(_BANK - height)
        change += _noise_bank()[y : y + height, x : x + width] * wear.noise
    if wear.shade:
        change += np.linspace(-wear.shade / 2, wear.shade / 2, width, dtype=np.float32)
    pixels = np.asarray(image, dtype=np.float32) + change[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _compress(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")
