"""What a scanner and a phone do to a page."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image, ImageFilter

from nano_lab.foreign.drawing.facts import seeded

_DESKS = ((92, 70, 52), (58, 62, 68), (168, 150, 128), (40, 44, 40))


def scan(image: Image.Image, seed: int) -> Image.Image:
    """Slightly turned, soft, noisy and compressed; every second one is grey."""
    rng = seeded("wear", seed)
    page = image.convert("L" if seed % 2 else "RGB")
    white = 255 if page.mode == "L" else (255, 255, 255)
    page = page.rotate(rng.uniform(-1.1, 1.1), Image.Resampling.BICUBIC, fillcolor=white)
    page = page.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 0.9)))
    pixels = np.asarray(page, np.float64)
    noise = np.random.default_rng(seed).normal(0, rng.uniform(3, 9), pixels.shape)
    pixels = pixels * rng.uniform(0.82, 0.95) + rng.uniform(4, 16) + noise
    worn = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return _compressed(worn, rng.randint(45, 75)).convert("RGB")


def photo(image: Image.Image, seed: int) -> Image.Image:
    """Seen aslant on a desk, with a shadow, a warm light, blur and noise."""
    rng = seeded("wear", seed)
    width, height = image.size
    border = int(0.06 * max(width, height))
    size = (width + 2 * border, height + 2 * border)
    shift = [rng.uniform(0, 0.05) * min(width, height) for _ in range(8)]
    corners = [
        (border + shift[0], border + shift[1]),
        (border + width - shift[2], border + shift[3]),
        (border + width - shift[4], border + height - shift[5]),
        (border + shift[6], border + height - shift[7]),
    ]
    square = [(0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height))]
    how = _perspective(corners, square)
    page = image.convert("RGB").transform(
        size, Image.Transform.PERSPECTIVE, how, Image.Resampling.BICUBIC
    )
    mask = Image.new("L", image.size, 255).transform(
        size, Image.Transform.PERSPECTIVE, how, Image.Resampling.BILINEAR
    )
    desk = Image.new("RGB", size, rng.choice(_DESKS))
    desk.paste(page, (0, 0), mask)
    lit = np.asarray(desk.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.0))), np.float32)
    lit = lit * _light(size, rng)[..., None] * np.array([1.0, 0.97, 0.9], np.float32)
    lit += np.random.default_rng(seed).normal(0, rng.uniform(3, 7), lit.shape)
    return _compressed(Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)), rng.randint(60, 85))


def _light(size: tuple[int, int], rng: random.Random) -> np.ndarray:
    """A slope of light and the soft edge of a shadow, 0.4..1 by pixel, [H, W]."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = 1 - rng.uniform(0.05, 0.3) * (x / width) - rng.uniform(0.0, 0.15) * (y / height)
    edge = (x / width + rng.uniform(-0.5, 0.5) * y / height - rng.uniform(0.3, 0.8)) * 14
    return np.asarray(slope * (1 - rng.uniform(0.1, 0.35) / (1 + np.exp(-edge))), np.float32)


def _perspective(
    target: list[tuple[float, float]], source: list[tuple[float, float]]
) -> tuple[float, ...]:
    """The eight numbers with which Pillow finds for a pixel of the target that of the source."""
    rows, values = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(np.linalg.solve(np.array(rows), np.array(values)).tolist())


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return Image.open(buffer).convert(image.mode)
