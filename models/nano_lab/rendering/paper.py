"""Colours and backgrounds of printed matter."""

from __future__ import annotations

import random

from PIL import Image

from nano_lab.rendering.canvas import Canvas, Colour

_LIGHT: tuple[Colour, ...] = (
    (255, 255, 255), (250, 249, 245), (244, 240, 228), (238, 238, 238), (255, 252, 230),
    (228, 240, 250), (232, 246, 232), (252, 232, 236), (222, 214, 196),
)  # fmt: skip
_DARK: tuple[Colour, ...] = (
    (0, 0, 0), (24, 24, 24), (48, 48, 52), (16, 32, 88), (90, 20, 24), (16, 70, 40),
    (66, 30, 88), (70, 50, 30), (0, 80, 96),
)  # fmt: skip


def luminance(colour: Colour) -> float:
    """Perceived brightness, 0..255 (Rec. 601 weights)."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def random_inks(rng: random.Random, plain: float = 0.5) -> tuple[Colour, Colour]:
    """(paper, ink): black on white with probability ``plain``, else coloured, 1 in 8 inverted."""
    if rng.random() < plain:
        return (255, 255, 255), (0, 0, 0)
    light, dark = _jitter(rng, rng.choice(_LIGHT)), _jitter(rng, rng.choice(_DARK))
    if rng.random() < 0.1:
        # Coloured text on colour, as on signs; still with enough contrast to read.
        vivid = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        if abs(luminance(vivid) - luminance(light)) > 100:
            dark = vivid
    return (dark, light) if rng.random() < 0.12 else (light, dark)


def _jitter(rng: random.Random, colour: Colour) -> Colour:
    red, green, blue = (min(255, max(0, part + rng.randint(-10, 10))) for part in colour)
    return red, green, blue


def blank(width: int, height: int, paper: Colour) -> Canvas:
    """An empty canvas of the paper's colour."""
    return Canvas(Image.new("RGB", (width, height), paper))
