"""A ground for transparent pictures on which their print can be seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

# In order of preference. Most pages are white; grey is for print of both kinds.
_GROUNDS = {"white": 255, "black": 0, "grey": 128}
# Levels of 255 that a colour must differ from its ground, and the share of outlines that
# may fail to.
_MIN_CONTRAST = 40
_MAX_LOST = 0.02
_STRIP_PIXELS = 2**20


def on_ground(colour: Image.Image, alpha: Image.Image, notes: list[str]) -> Image.Image:
    """``colour`` (RGB) by its ``alpha`` (L) on white, or on a ground that shows more.

    Viewers differ in their ground; white print on white would be an empty page. The outlines
    decide: where what is opaque meets what is not, the two must differ.
    """
    if alpha.getextrema()[0] == 255:
        return colour
    lost = _lost_shares(colour, alpha)
    name = "white"
    if lost["white"] > _MAX_LOST:
        name = min(_GROUNDS, key=lambda ground: lost[ground])
    if name != "white":
        notes.append(f"light print on a transparent ground: laid on {name} instead of white")
    ground = Image.new("RGB", colour.size, (_GROUNDS[name],) * 3)
    ground.paste(colour, mask=alpha)
    return ground


def _lost_shares(colour: Image.Image, alpha: Image.Image) -> dict[str, float]:
    """For each ground, the share of outline pixels that would hardly differ from it."""
    opaque = max(8.0, alpha.getextrema()[1] / 2)  # type: ignore[operator]
    lost = dict.fromkeys(_GROUNDS, 0)
    total = 0
    for colour_hwc, alpha_hw in _strips(colour, alpha):
        solid_hw = alpha_hw >= opaque
        outline = _outline(solid_hw)
        total += int(outline.sum())
        colours_nc = colour_hwc[outline].astype(np.float32)
        cover_n1 = alpha_hw[outline].astype(np.float32)[:, None] / 255.0
        for name, level in _GROUNDS.items():
            contrast = np.abs((colours_nc - level) * cover_n1).max(axis=1, initial=0.0)
            lost[name] += int((contrast < _MIN_CONTRAST).sum())
    return {name: count / max(1, total) for name, count in lost.items()}


def _strips(colour: Image.Image, alpha: Image.Image) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rows = max(2, _STRIP_PIXELS // colour.width)
    for top in range(0, colour.height, rows):
        box = (0, top, colour.width, min(colour.height, top + rows))
        yield np.asarray(colour.crop(box)), np.asarray(alpha.crop(box))


def _outline(solid_hw: np.ndarray) -> np.ndarray:
    """The solid pixels beside, above or below one that is not solid."""
    outline = np.zeros_like(solid_hw)
    across = solid_hw[:, 1:] != solid_hw[:, :-1]
    down = solid_hw[1:] != solid_hw[:-1]
    outline[:, 1:] |= across
    outline[:, :-1] |= across
    outline[1:] |= down
    outline[:-1] |= down
    outline &= solid_hw
    return outline
