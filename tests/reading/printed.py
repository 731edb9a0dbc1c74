"""Pages with lines as print has them."""

from __future__ import annotations

from PIL import Image, ImageDraw


def page_of(count: int, distance: int = 24, height: int = 14) -> Image.Image:
    """``count`` lines of upright strokes, as print has."""
    page = Image.new("RGB", (300, 20 + count * distance + 20), "white")
    draw = ImageDraw.Draw(page)
    for line in range(count):
        top = 20 + line * distance
        for x in range(12, 280, 7):
            draw.rectangle((x, top, x + 2, top + height - 1), fill="black")
    return page
