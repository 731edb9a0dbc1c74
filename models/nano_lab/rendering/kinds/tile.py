"""A dense tile: 384 px square, full of printed text of 12 to 36 px."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering.block import Align, Area, set_text
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.face import random_face
from nano_lab.rendering.kinds.words import TILE
from nano_lab.rendering.paper import blank, random_inks
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.text import prose
from nano_lab.rendering.wear import random_wear

ALIGNS: tuple[Align, ...] = ("left", "left", "left", "justify", "centre", "right")


def draw(rng: random.Random, split: Split) -> Draft:
    """One or two blocks of text, each with its face and alignment, over the whole tile."""
    paper, ink = random_inks(rng)
    canvas = blank(TILE, TILE, paper)
    margin = rng.randint(4, 24)
    top = margin
    # One size, or a heading over smaller text, or two halves.
    for _ in range(rng.choice((1, 1, 2, 3))):
        face = random_face(rng, split, 12, 36)
        area = Area(margin, top, TILE - margin, TILE - margin)
        per_line = area.width / (face.size * 2.2)
        left = (area.bottom - area.top) / (face.size * 1.2)
        tokens = prose(rng, split, max(2, int(per_line * left * rng.choice((0.3, 0.7, 1.4)))))
        top = set_text(
            canvas, area, tokens, face, ink, rng,
            align=rng.choice(ALIGNS), leading=rng.uniform(1.05, 1.6),
        )  # fmt: skip
        top += rng.randint(0, 20)
    turn = Turn(PRESETS["ocr"], canvas.text, "ocr")
    return Draft(canvas, (turn,), paper, random_wear(rng, 0.4))
