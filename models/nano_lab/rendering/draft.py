"""What a kind hands over before wear: the canvas, the turns and how it is to be damaged."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from nano_lab.rendering.canvas import Canvas, Colour
from nano_lab.rendering.sample import Turn
from nano_lab.rendering.wear import CLEAN, Wear


@dataclass(frozen=True, slots=True)
class Draft:
    """An undamaged sample; ``canvas`` is None for text-only chat.

    ``wear`` must not rotate when a turn holds boxes. ``example`` is a picture before it.
    """

    canvas: Canvas | None
    turns: tuple[Turn, ...]
    paper: Colour
    wear: Wear = CLEAN
    example: Image.Image | None = None
