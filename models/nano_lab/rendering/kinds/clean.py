"""Clean print, no wear, dark on light: as the text suites measure it, 14 to 32 px on whole tiles,
and on sheets of any size.
"""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering.block import Align, Area, set_text
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.face import PLAIN_GENRES, face, random_cut
from nano_lab.rendering.kinds.words import TILE
from nano_lab.rendering.paper import blank
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.text import sentence

_PAPERS = ((255, 255, 255), (255, 255, 255), (250, 249, 245), (238, 238, 238), (244, 240, 228))
_INKS = ((0, 0, 0), (0, 0, 0), (30, 30, 30), (16, 32, 88), (90, 20, 24))
# (columns, rows) of tiles of a page
_GRIDS = ((2, 1), (1, 2), (2, 2), (2, 3), (3, 2), (3, 3))
# Body sizes of sheets: most are ordinary, some large.
_ORDINARY, _LARGE = (12, 34), (26, 80)
# Pixels of a sheet's sides, and how many times the body size they are.
_SHORTEST, _LONGEST = 48, 1152
_WIDE, _HIGH = (9.0, 60.0), (1.6, 40.0)
# Bands of pages: body sizes, pixels of the width, and lines.
_SMALL, _ACROSS, _LINES = (12, 22), (700, 1152), (6, 26)


def draw_tile(rng: random.Random, split: Split) -> Draft:
    """A tile full of sentences with numbers, dates, prices and addresses among them."""
    return _print(rng, split, (TILE, TILE))


def draw_page(rng: random.Random, split: Split) -> Draft:
    """A page of 2 to 9 tiles in paragraphs of one face and size."""
    columns, rows = rng.choice(_GRIDS)
    return _print(rng, split, (columns * TILE, rows * TILE))


def draw_sheet(rng: random.Random, split: Split) -> Draft:
    """A cutting, a strip or a page of any width and height, in print of 12 to 80 px."""
    size = rng.randint(*(_ORDINARY if rng.random() < 0.75 else _LARGE))
    width, height = (
        min(_LONGEST, max(_SHORTEST, round(size * least * (most / least) ** rng.random())))
        for least, most in (_WIDE, _HIGH)
    )
    # One line has room, whatever the face.
    height = max(height, round(size * 1.6) + 4)
    margin = rng.randint(2, max(3, min(24, width // 12, height // 8)))
    return _print(rng, split, (width, height), size, margin)


def draw_band(rng: random.Random, split: Split) -> Draft:
    """Some long lines of small print: a page that is read in bands is shown like that."""
    size = rng.randint(*_SMALL)
    height = min(_LONGEST, round(size * 1.35 * rng.randint(*_LINES)))
    return _print(rng, split, (rng.randint(*_ACROSS), height), size, rng.randint(4, 24))


def _print(
    rng: random.Random,
    split: Split,
    canvas_size: tuple[int, int],
    size: int | None = None,
    margin: int | None = None,
) -> Draft:
    paper, ink = rng.choice(_PAPERS), rng.choice(_INKS)
    width, height = canvas_size
    canvas = blank(width, height, paper)
    margin = rng.randint(10, 24) if margin is None else margin
    cut = random_cut(rng, split, PLAIN_GENRES)
    body = face(cut, rng.randint(14, 32) if size is None else size)
    aligns: tuple[Align, ...] = ("left", "left", "justify")
    leading, align = rng.uniform(1.15, 1.5), rng.choice(aligns)
    area = Area(margin, margin, width - margin, height - margin)
    while area.top + body.ascent + body.descent <= area.bottom:
        tokens = [word for _ in range(rng.randint(2, 6)) for word in sentence(rng, split)]
        below = set_text(canvas, area, tokens, body, ink, rng, align=align, leading=leading)
        top = below + rng.choice((0, body.size // 2))
        area = Area(area.left, top, area.right, area.bottom)
    return Draft(canvas, (Turn(PRESETS["ocr"], canvas.text, "ocr"),), paper)
