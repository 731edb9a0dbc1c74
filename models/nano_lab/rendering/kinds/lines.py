"""Short lines of text, 18 to 44 px, on a tile."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.face import random_face
from nano_lab.rendering.kinds.words import TILE
from nano_lab.rendering.paper import blank, random_inks
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.text import prose
from nano_lab.rendering.wear import random_wear


def draw(rng: random.Random, split: Split) -> Draft:
    """Three to twelve lines of one to five tokens, each with its own indent."""
    paper, ink = random_inks(rng)
    canvas = blank(TILE, TILE, paper)
    face = random_face(rng, split, 18, 44)
    y = rng.randint(4, 30)
    while y + face.ascent + face.descent <= TILE - 4:
        if rng.random() < 0.2:
            face = random_face(rng, split, 18, 44)
            continue
        text = face.printable(" ".join(prose(rng, split, 5)[: rng.randint(1, 5)]))
        while text and face.width(text) > TILE - 16:
            text = text[:-1]
        text = text.strip()
        if text:
            room = TILE - 16 - int(face.width(text))
            indent = rng.choice((0, 0, room, room // 2, rng.randint(0, max(0, room))))
            canvas.write(8 + indent, y + face.ascent, text, face, ink)
        y += face.ascent + face.descent + rng.randint(-2, 20)
    turn = Turn(PRESETS["ocr"], canvas.text, "ocr")
    return Draft(canvas, (turn,), paper, random_wear(rng, 0.3))
