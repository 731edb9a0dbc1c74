"""Turn a page that was scanned a little askew until its lines are level."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dvl2_cli.results.envelope import Box
from dvl2_cli.tasks.reading.lines.components import Components

# Degrees: how far a page may be turned, the steps that are tried, and what is left as it is.
_MOST, _STEP, _LEAST = 4.0, 0.1, 0.15
# Fewer glyphs do not tell.
_MIN_GLYPHS = 40
# Of the glyphs' height: feet within so many rows stand on one line.
_ROW = 0.12
# How much better the best angle has to be than none.
_GAIN = 1.1


@dataclass(frozen=True, slots=True)
class Upright:
    """A page with level lines: ``image``, turned counter-clockwise by ``angle`` degrees."""

    image: Image.Image
    angle: float = 0.0

    def on_page(self, box: Box) -> Box:
        """``box`` in pixels of the page as it was."""
        if not self.angle:
            return box
        left, top, right, bottom = box
        width, height = self.image.size
        turn = math.radians(self.angle)
        xs, ys = np.array([left, right, left, right]), np.array([top, top, bottom, bottom])
        x, y = xs - width / 2, ys - height / 2
        x, y = math.cos(turn) * x - math.sin(turn) * y, math.sin(turn) * x + math.cos(turn) * y
        x = np.clip(x + width / 2, 0, width).round(2)
        y = np.clip(y + height / 2, 0, height).round(2)
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def upright(page: Image.Image, glyphs: Components) -> Upright:
    """``page`` (RGB) turned so that its ``glyphs`` stand on level lines."""
    angle = skew_of(glyphs)
    if abs(angle) < _LEAST:
        return Upright(page)
    ground = tuple(int(value) for value in np.median(np.asarray(page), axis=(0, 1)))
    turned = page.rotate(angle, Image.Resampling.BICUBIC, fillcolor=ground)
    return Upright(turned, angle)


def skew_of(glyphs: Components) -> float:
    """Degrees by which lines fall to the right: where the fewest rows hold the feet of all glyphs
    (as Postl, 1986, by the sum of squares of the profile).
    """
    if len(glyphs) < _MIN_GLYPHS:
        return 0.0
    usual = float(np.median(glyphs.height))
    chosen = glyphs.where(np.abs(np.log(glyphs.height / usual)) < math.log(2))
    x, y = (chosen.left + chosen.right) / 2, chosen.bottom.astype(np.float64)
    row = max(1.0, _ROW * usual)
    angles = np.arange(-_MOST, _MOST + _STEP / 2, _STEP)
    scores = [_crowding(y - x * math.tan(math.radians(angle)), row) for angle in angles]
    best = int(np.argmax(scores))
    level = scores[len(angles) // 2]
    return float(angles[best]) if scores[best] > _GAIN * level else 0.0


def _crowding(rows: np.ndarray, size: float) -> float:
    counts = np.bincount(((rows - rows.min()) / size).astype(np.int64))
    return float((counts.astype(np.float64) ** 2).sum())
