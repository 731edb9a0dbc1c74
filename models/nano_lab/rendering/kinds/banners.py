"""Banners: names in light print on bands of colour, as over letters and invoices."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering import people
from nano_lab.rendering.canvas import Colour
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.layouts import random_size
from nano_lab.rendering.paper import luminance
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.sheet import Sheet
from nano_lab.rendering.text import cased
from nano_lab.rendering.vocabulary import made_up
from nano_lab.rendering.wear import random_wear

_ALIGNS = ("left", "centre", "right")
# Of the body size: the print in a band, and the paper above and below it.
_SCALES, _PADDING = (1.0, 1.3, 1.6, 2.0), (0.1, 0.6)


def draw(rng: random.Random, split: Split) -> Draft:
    """Bands down the page, every third with a line of plain print below it."""
    sheet = Sheet(rng, split, random_size(rng, split), lines=rng.choice((8, 12, 18)))
    while sheet.lines_left >= 3:
        _band(sheet, _name(rng, split))
        if rng.random() < 0.35 and sheet.lines_left >= 1:
            address = f"{people.street(rng, split)}, {people.city(rng)}"
            sheet.line(address, rng.choice(_ALIGNS), 0.9)
        sheet.gap(rng.uniform(0.1, 0.8))
    turn = Turn(PRESETS["ocr"], sheet.canvas.text, "ocr")
    return Draft(sheet.canvas, (turn,), sheet.paper, random_wear(rng, 0.3))


def _band(sheet: Sheet, text: str) -> None:
    rng = sheet.rng
    scale, padding = rng.choice(_SCALES), rng.uniform(*_PADDING)
    bold = rng.random() < 0.75
    below = sheet.y + sheet.size * (scale * 1.3 + 2 * padding)
    sheet.band(sheet.y, below, _dark(rng))
    sheet.gap(padding)
    sheet.line(text, rng.choice(_ALIGNS), scale, bold=bold, fill=_light(rng))
    sheet.y = below


def _name(rng: random.Random, split: Split) -> str:
    roll = rng.random()
    if roll < 0.5:
        return people.company(rng, split)
    if roll < 0.7:
        return people.person(rng, split)
    return " ".join(cased(rng, made_up(rng)).capitalize() for _ in range(rng.randint(1, 3)))


def _dark(rng: random.Random) -> Colour:
    while True:
        colour = (rng.randrange(220), rng.randrange(220), rng.randrange(220))
        if luminance(colour) < 120:
            return colour


def _light(rng: random.Random) -> Colour:
    return (255, 255, 255) if rng.random() < 0.7 else (250, 240, rng.randint(190, 250))
