"""Cut-out pictures of objects: emoji, tinted emoji and geometric shapes, with alpha."""

from __future__ import annotations

import colorsys
import functools
import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nano_lab.rendering.canvas import Colour
from nano_lab.rendering.catalogue import TINTS, Emoji
from nano_lab.rendering.fonts import emoji_path

_EMOJI_SIZE = 109  # the only size of the colour bitmaps in the font
_SOLID = 24  # alpha from which a pixel counts as part of the object
_BRIGHT = 0.75  # value from which a colour is a light one
_SMOOTH = 3  # shapes are drawn this many times larger and scaled down


@functools.cache
def _emoji_font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(emoji_path()), _EMOJI_SIZE)


@functools.cache
def emoji_sprite(emoji: Emoji, tint: str | None) -> Image.Image:
    """The emoji as RGBA, cropped to its ink (about 128 pixels), in the tint if one is given."""
    image = Image.new("RGBA", (220, 200))
    draw = ImageDraw.Draw(image)
    draw.text((30, 30), emoji.text, font=_emoji_font(), embedded_color=True)
    cut = crop(image)
    if tint is None or tint == emoji.colour:
        return cut
    return _tinted(cut, *TINTS[tint], bright=tint in {"yellow", "pink", "orange"})


def painted_sprite(emoji: Emoji, colour: Colour) -> Image.Image:
    """The emoji as RGBA, cropped to its ink, in the hue and saturation of any colour."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in colour))
    return _tinted(emoji_sprite(emoji, None), hue, saturation, bright=value > _BRIGHT)


def _tinted(image: Image.Image, hue: float, saturation: float, *, bright: bool) -> Image.Image:
    alpha = image.getchannel("A")
    pixels = np.array(image.convert("RGB").convert("HSV"))
    coloured = pixels[..., 1] > 60  # greys, whites and blacks (tyres, pages) keep their look
    pixels[..., 0][coloured] = int(hue * 255)
    richness = pixels[..., 1].astype(np.float32) / max(1.0, float(pixels[..., 1].max()))
    pixels[..., 1][coloured] = np.clip(richness * saturation * 275, 0, 255)[coloured]
    if bright:
        lifted = pixels[..., 2].astype(np.float32) * 0.6 + 110
        pixels[..., 2][coloured] = np.clip(lifted, 0, 255)[coloured]
    tinted = Image.fromarray(pixels, "HSV").convert("RGBA")
    tinted.putalpha(alpha)
    return tinted


def crop(image: Image.Image) -> Image.Image:
    """``image`` cut to the box of its visible pixels."""
    box = image.getchannel("A").point(lambda alpha: 255 * (alpha >= _SOLID)).getbbox()
    return image.crop(box) if box else image


def shape_sprite(shape: str, colour: Colour, size: int, rng: random.Random) -> Image.Image:
    """A filled shape about ``size`` pixels across, slightly turned, cropped to its ink."""
    canvas = size * _SMOOTH
    mask = Image.new("L", (canvas, canvas))
    _draw_shape(ImageDraw.Draw(mask), shape, canvas, rng)
    turn = rng.choice((0, 0, rng.randint(-20, 20)))
    if turn and shape not in {"diamond", "square", "cross"}:
        mask = mask.rotate(turn, resample=Image.Resampling.BILINEAR)
    mask = mask.resize((size, size), Image.Resampling.BOX)
    sprite = Image.new("RGBA", (size, size), (*colour, 0))
    sprite.putalpha(mask)
    return crop(sprite)


def _draw_shape(draw: ImageDraw.ImageDraw, shape: str, side: int, rng: random.Random) -> None:
    middle, radius = side / 2, side * 0.48
    low, high = middle - radius, middle + radius
    if shape == "circle":
        draw.ellipse((low, low, high, high), fill=255)
    elif shape == "ring":
        draw.ellipse((low, low, high, high), fill=255)
        hole = radius * rng.uniform(0.45, 0.65)
        draw.ellipse((middle - hole, middle - hole, middle + hole, middle + hole), fill=0)
    elif shape in {"oval", "rectangle"}:
        flat = radius * rng.uniform(0.45, 0.62)
        box = (low, middle - flat, high, middle + flat)
        if rng.random() < 0.4:
            box = (middle - flat, low, middle + flat, high)
        (draw.ellipse if shape == "oval" else draw.rectangle)(box, fill=255)
    elif shape == "square":
        draw.rectangle((low * 1.5, low * 1.5, side - low * 1.5, side - low * 1.5), fill=255)
    elif shape == "cross":
        arm = radius * rng.uniform(0.25, 0.36)
        draw.rectangle((low, middle - arm, high, middle + arm), fill=255)
        draw.rectangle((middle - arm, low, middle + arm, high), fill=255)
    elif shape == "heart":
        draw.polygon(_heart(middle, radius), fill=255)
    else:
        draw.polygon(_corners(shape, middle, radius), fill=255)


def _corners(shape: str, middle: float, radius: float) -> list[tuple[float, float]]:
    count = {"triangle": 3, "diamond": 4, "pentagon": 5, "hexagon": 6, "star": 10}[shape]
    points = []
    for index in range(count):
        angle = 2 * math.pi * index / count - math.pi / 2
        reach = radius * (0.42 if shape == "star" and index % 2 else 1.0)
        narrow = 0.7 if shape == "diamond" else 1.0
        points.append((middle + reach * narrow * math.cos(angle), middle + reach * math.sin(angle)))
    return points


def _heart(middle: float, radius: float) -> list[tuple[float, float]]:
    points = []
    for step in range(72):
        t = 2 * math.pi * step / 72
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((middle + x * radius / 17, middle - (y + 2.5) * radius / 17))
    return points


def fitted(sprite: Image.Image, size: int, rng: random.Random) -> Image.Image:
    """``sprite`` scaled so that its longer side is ``size``; sometimes mirrored or turned."""
    if rng.random() < 0.3:
        sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.25:
        angle = rng.uniform(-18, 18)
        sprite = crop(sprite.rotate(angle, resample=Image.Resampling.BICUBIC, expand=True))
    scale = size / max(sprite.size)
    width, height = (max(8, round(side * scale)) for side in sprite.size)
    return sprite.resize((width, height), Image.Resampling.BILINEAR)
