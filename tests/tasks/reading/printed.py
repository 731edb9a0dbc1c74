"""Pages with lines as print has them."""

from __future__ import annotations

from PIL import Image, ImageDraw

LETTER_SHAPES = ((0, 10), (3, 10), (3, 13), (0, 10), (3, 10))


def page_of(count: int, distance: int = 24, height: int = 14) -> Image.Image:
    """``count`` lines of upright strokes, as print has."""
    page = Image.new("RGB", (300, 20 + count * distance + 20), "white")
    draw = ImageDraw.Draw(page)
    for line in range(count):
        top = 20 + line * distance
        for x in range(12, 280, 7):
            draw.rectangle((x, top, x + 2, top + height - 1), fill="black")
    return page


def printed(width: int, height: int, size: int, columns: int = 1) -> Image.Image:
    """Lines of strokes that stand for letters ``size`` pixels high, ascenders to descenders."""
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)
    scale = size / 13
    column = width // columns
    for top in range(size, height - 2 * size, round(1.5 * size)):
        for index, left in enumerate(range(0, column - 3 * size, max(3, round(0.6 * size)))):
            if index % 7 == 6:
                continue  # a space
            high, low = LETTER_SHAPES[index % len(LETTER_SHAPES)]
            for number in range(columns):
                x = number * column + size + left
                box = (x, top + round(high * scale), x + size // 5, top + round(low * scale) - 1)
                pen.rectangle(box, fill="black")
    return page
