"""Program listings in a monospaced face, light or dark."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering.canvas import Colour
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.face import random_face
from nano_lab.rendering.paper import blank
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.vocabulary import common_words
from nano_lab.rendering.wear import random_wear

_SIZES = ((384, 384),) * 3 + ((768, 384), (600, 400), (768, 768))
_THEMES: tuple[tuple[Colour, tuple[Colour, ...]], ...] = (
    ((255, 255, 255), ((0, 0, 0), (0, 0, 160), (0, 100, 0), (140, 0, 80))),
    ((30, 30, 30), ((220, 220, 220), (120, 190, 255), (180, 220, 140), (240, 160, 110))),
    ((40, 42, 54), ((248, 248, 242), (255, 121, 198), (139, 233, 253), (241, 250, 140))),
    ((253, 246, 227), ((60, 80, 90), (38, 110, 170), (110, 120, 0), (180, 50, 40))),
)
_INDENT = 4


def draw(rng: random.Random, split: Split) -> Draft:
    """Lines of code; the answer keeps the indentation."""
    width, height = rng.choice(_SIZES)
    paper, inks = rng.choice(_THEMES)
    canvas = blank(width, height, paper)
    face = random_face(rng, split, 12, 20, ("mono",))
    pitch = round(face.size * rng.uniform(1.2, 1.5))
    margin = rng.randint(6, 20)
    baseline, depth = margin + face.ascent, 0
    per_line = int((width - 2 * margin) / face.width("x"))
    colourful = rng.random() < 0.5
    while baseline + face.descent < height - margin:
        text, after = _line(rng, split, depth)
        indent = " " * (_INDENT * depth)
        if len(indent + text) <= per_line:
            x = margin + round(face.width(indent))
            ink = rng.choice(inks) if colourful else inks[0]
            canvas.write(x, baseline, text, face, ink)
            canvas.lines[-1] = indent + canvas.lines[-1]
            depth = after
            baseline += pitch
        elif depth and rng.random() < 0.3:
            depth -= 1
    turn = Turn(PRESETS["ocr"], canvas.text, "ocr")
    return Draft(canvas, (turn,), paper, random_wear(rng, 0.15))


def _line(rng: random.Random, split: Split, depth: int) -> tuple[str, int]:
    """A line of code and the depth of the next."""

    def name() -> str:
        word = rng.choice(common_words(split))
        return f"{word}_{rng.choice(common_words(split))}" if rng.random() < 0.25 else word

    a, b, c, n = name(), name(), name(), rng.randint(0, 999)
    if depth < 3 and rng.random() < 0.3:
        opener = rng.choice(
            (f"def {a}({b}):", f"if {a} > {n}:", f"for {a} in {b}:", f"while {a} != {b}:",
             f"class {a.capitalize()}:", f"with open({a}) as {b}:", "else:", "try:")
        )  # fmt: skip
        return opener, depth + 1
    text = rng.choice(
        (f"{a} = {n}", f"{a} = {b} + {c}", f"{a} = {b}[{n}]", f'{a} = "{b}"', f"{a}({b}, {c})",
         f"print({a})", f"# {a} {b}", f"{a}.{b}({n})", f"import {a}", f"{a} += {n / 10}",
         f"{a} = {{'{b}': {n}}}", f"assert {a} is None", f"x{n % 10} = {a}[{b}:]")
    )  # fmt: skip
    if depth and rng.random() < 0.3:
        return rng.choice((f"return {a}", "pass", "break", text)), depth - 1
    return text, depth
