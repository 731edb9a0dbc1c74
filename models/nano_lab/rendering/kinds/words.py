"""A few big words on a tile: the first step of learning to read."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.face import random_face
from nano_lab.rendering.paper import blank, random_inks
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.text import token
from nano_lab.rendering.wear import random_wear

TILE = 384


def draw(rng: random.Random, split: Split) -> Draft:
    """One to five lines of one or two words, 28 to 80 px, anywhere on the tile."""
    paper, ink = random_inks(rng)
    canvas = blank(TILE, TILE, paper)
    y = rng.randint(4, 60)
    while True:
        face = random_face(rng, split, 28, 80)
        if y + face.ascent + face.descent > TILE - 4 or len(canvas.lines) == 6:
            break
        text = face.printable(token(rng, split, 0.35))
        while text and face.width(text) > TILE - 16:
            text = text[: len(text) * 2 // 3]
        if text.strip():
            room = TILE - 16 - int(face.width(text))
            canvas.write(8 + rng.randint(0, max(0, room)), y + face.ascent, text, face, ink)
            y += face.ascent + face.descent + rng.randint(0, 40)
    turn = Turn(PRESETS["ocr"], canvas.text, "ocr")
    return Draft(canvas, (turn,), paper, random_wear(rng, 0.25))
