"""The first reader: two plain faces in black on white, 20 to 26 px, full tiles.

A tower that starts from nothing learns to tell glyphs apart here first; from a mixture of
all faces it stays for long at guessing how frequent a character is.
"""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.face import face
from nano_lab.rendering.fonts import installed_cuts
from nano_lab.rendering.kinds.words import TILE
from nano_lab.rendering.paper import blank
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.text import prose


def draw(rng: random.Random, split: Split) -> Draft:
    """Lines of words and noise over the whole tile."""
    canvas = blank(TILE, TILE, (255, 255, 255))
    families = installed_cuts(split, ("sans",)) + installed_cuts(split, ("serif",))
    body = face(rng.choice((families[0][0], families[-1][0])), rng.randint(20, 26))
    y = rng.randint(0, 20)
    while y + body.ascent + body.descent <= TILE:
        text = body.printable(" ".join(prose(rng, split, 8)))
        while text and body.width(text) > TILE - 8:
            text = text[:-1]
        canvas.write(rng.randint(0, 8), y + body.ascent, text, body, (0, 0, 0))
        y += body.ascent + body.descent + rng.randint(-4, 4)
    return Draft(canvas, (Turn(PRESETS["ocr"], canvas.text, "ocr"),), (255, 255, 255))
