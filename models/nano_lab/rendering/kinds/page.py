"""Pages of more than one tile: up to 3 by 3, tall, wide and square, one or two columns."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering.block import Area, set_text
from nano_lab.rendering.canvas import Canvas, Colour
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.face import ALL_GENRES, PLAIN_GENRES, Face, face, random_cut, random_face
from nano_lab.rendering.kinds.tile import ALIGNS
from nano_lab.rendering.kinds.words import TILE
from nano_lab.rendering.paper import blank, random_inks
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.text import prose, token
from nano_lab.rendering.wear import random_wear

# (columns, rows) of tiles; small pages more often, because they train as well and cost less.
_GRIDS = ((2, 1), (1, 2), (2, 1), (1, 2), (2, 2), (2, 2), (3, 1), (1, 3), (3, 2), (2, 3), (3, 3))


def draw(rng: random.Random, split: Split) -> Draft:
    """A heading now and then, then paragraphs; body text 14 to 32 px."""
    columns, rows = rng.choice(_GRIDS)
    width, height = columns * TILE, rows * TILE
    if rng.random() < 0.4:
        # Not every page fills its tiles exactly.
        width, height = width - rng.randint(0, TILE // 2), height - rng.randint(0, TILE // 2)
    paper, ink = random_inks(rng)
    canvas = blank(width, height, paper)
    fill_page(canvas, rng, split, ink)
    turn = Turn(PRESETS["ocr"], canvas.text, "ocr")
    return Draft(canvas, (turn,), paper, random_wear(rng, 0.35))


def fill_page(canvas: Canvas, rng: random.Random, split: Split, ink: Colour) -> None:
    """Write a page over the whole canvas, leaving the lower part empty now and then."""
    width, height = canvas.size
    margin = rng.randint(12, max(13, min(width, height) // 10))
    top = margin
    if rng.random() < 0.35:
        top = _heading(canvas, rng, split, ink, margin)
    bottom = height - margin
    if rng.random() < 0.3:
        bottom = top + int((bottom - top) * rng.uniform(0.4, 0.9))
    body = face(random_cut(rng, split, PLAIN_GENRES), rng.randint(14, 32))
    gutter = rng.randint(20, 44)
    two = width >= 2 * TILE - 100 and rng.random() < 0.25
    edges = [(margin, width - margin)]
    if two:
        middle = width // 2
        edges = [(margin, middle - gutter // 2), (middle + gutter // 2, width - margin)]
    for left, right in edges:
        _column(canvas, Area(left, top, right, bottom), rng, split, body, ink)


def _heading(canvas: Canvas, rng: random.Random, split: Split, ink: Colour, margin: int) -> int:
    width, _ = canvas.size
    big = random_face(rng, split, 28, 56, ALL_GENRES)
    tokens = [token(rng, split, 0.1) for _ in range(rng.randint(1, 4))]
    area = Area(margin, margin, width - margin, margin + 3 * big.size)
    below = set_text(canvas, area, tokens, big, ink, rng, align=rng.choice(("left", "centre")))
    return below + rng.randint(4, 24)


def _column(
    canvas: Canvas, area: Area, rng: random.Random, split: Split, body: Face, ink: Colour
) -> None:
    leading, align = rng.uniform(1.1, 1.6), rng.choice(ALIGNS)
    top = area.top
    while top + body.ascent + body.descent < area.bottom:
        tokens = prose(rng, split, rng.randint(8, 60))
        rest = Area(area.left, top, area.right, area.bottom)
        top = set_text(canvas, rest, tokens, body, ink, rng, align=align, leading=leading)
        top += rng.choice((0, body.size // 2, body.size))
