"""Clean print, as the text suites measure it: 14 to 32 px, no wear, dark on light."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from dvl2_cli.rendering.block import Align, Area, set_text
from dvl2_cli.rendering.draft import Draft
from dvl2_cli.rendering.face import PLAIN_GENRES, face, random_cut
from dvl2_cli.rendering.kinds.words import TILE
from dvl2_cli.rendering.paper import blank
from dvl2_cli.rendering.sample import Split, Turn
from dvl2_cli.rendering.text import sentence

_PAPERS = ((255, 255, 255), (255, 255, 255), (250, 249, 245), (238, 238, 238), (244, 240, 228))
_INKS = ((0, 0, 0), (0, 0, 0), (30, 30, 30), (16, 32, 88), (90, 20, 24))
# (columns, rows) of tiles of a page
_GRIDS = ((2, 1), (1, 2), (2, 2), (2, 3), (3, 2), (3, 3))


def draw_tile(rng: random.Random, split: Split) -> Draft:
    """A tile full of sentences with numbers, dates, prices and addresses among them."""
    return _print(rng, split, 1, 1)


def draw_page(rng: random.Random, split: Split) -> Draft:
    """A page of 2 to 9 tiles in paragraphs of one face and size."""
    return _print(rng, split, *rng.choice(_GRIDS))


def _print(rng: random.Random, split: Split, columns: int, rows: int) -> Draft:
    paper, ink = rng.choice(_PAPERS), rng.choice(_INKS)
    canvas = blank(columns * TILE, rows * TILE, paper)
    margin = rng.randint(10, 24)
    body = face(random_cut(rng, split, PLAIN_GENRES), rng.randint(14, 32))
    aligns: tuple[Align, ...] = ("left", "left", "justify")
    leading, align = rng.uniform(1.15, 1.5), rng.choice(aligns)
    area = Area(margin, margin, columns * TILE - margin, rows * TILE - margin)
    while area.top + body.ascent + body.descent <= area.bottom:
        tokens = [word for _ in range(rng.randint(2, 6)) for word in sentence(rng, split)]
        below = set_text(canvas, area, tokens, body, ink, rng, align=align, leading=leading)
        top = below + rng.choice((0, body.size // 2))
        area = Area(area.left, top, area.right, area.bottom)
    return Draft(canvas, (Turn(PRESETS["ocr"], canvas.text, "ocr"),), paper)
