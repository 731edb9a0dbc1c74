"""Signs and labels: a few large words on a coloured panel."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering import people
from nano_lab.rendering.canvas import Colour
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.face import face, random_cut
from nano_lab.rendering.layouts import pick_layout
from nano_lab.rendering.paper import blank, luminance
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.text import clock, money, number
from nano_lab.rendering.vocabulary import common_words, made_up
from nano_lab.rendering.wear import random_wear

LAYOUTS = ("plain", "framed", "panel", "rounded")
_SIZES = ((384, 384), (384, 384), (512, 256), (384, 256), (300, 400))
_PHRASES = (
    "NO ENTRY", "EXIT", "STOP", "OPEN", "CLOSED", "SALE", "PUSH", "PULL", "DANGER", "KEEP OUT",
    "PARKING", "ONE WAY", "NO SMOKING", "PLEASE WAIT", "WET FLOOR", "PRIVATE", "FIRE EXIT",
    "RECEPTION", "TICKETS", "PLATFORM", "BUS STOP", "HOSPITAL", "CAUTION", "WELCOME",
)  # fmt: skip


def draw(rng: random.Random, split: Split) -> Draft:
    """One to four centred lines, as large as the panel allows."""
    layout = pick_layout(rng, split, "sign", LAYOUTS)
    width, height = rng.choice(_SIZES)
    ground, panel = _random_colour(rng), _random_colour(rng)
    if layout == "plain":
        panel = ground
    canvas = blank(width, height, ground)
    ink: Colour = (255, 255, 255) if luminance(panel) < 130 else (0, 0, 0)
    inset = 0 if layout == "plain" else rng.randint(10, 30)
    box = (inset, inset, width - 1 - inset, height - 1 - inset)
    if layout == "rounded":
        canvas.draw.rounded_rectangle(box, radius=28, fill=panel, outline=ink, width=4)
    elif layout == "framed":
        canvas.draw.rectangle(box, fill=panel, outline=ink, width=5)
    elif layout == "panel":
        canvas.draw.rectangle(box, fill=panel)
    texts = [_phrase(rng, split) for _ in range(rng.randint(1, 4))]
    cut = random_cut(rng, split)
    pitch = (height - 2 * inset - 24) / len(texts)
    for index, text in enumerate(texts):
        fitted = face(cut, max(14, min(90, int(pitch * 0.75))))
        while fitted.size > 14 and fitted.width(text) > width - 2 * inset - 24:
            fitted = face(cut, fitted.size - 2)
        middle = inset + 12 + pitch * (index + 0.5)
        x = (width - fitted.width(text)) / 2
        baseline = round(middle + fitted.size * 0.35)
        canvas.write(max(2, round(x)), baseline, text, fitted, ink)
    turns = (
        Turn(PRESETS["ocr"], canvas.text, "ocr"),
        Turn("What does the sign say?", " ".join(canvas.lines), "field"),
    )
    return Draft(canvas, turns, ground, random_wear(rng, 0.5))


def _random_colour(rng: random.Random) -> Colour:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def _phrase(rng: random.Random, split: Split) -> str:
    roll = rng.random()
    if roll < 0.3:
        return rng.choice(_PHRASES)
    if roll < 0.5:
        return (
            f"{rng.choice(('Exit', 'Room', 'Gate', 'Floor', 'Route', 'Line'))} {rng.randint(1, 99)}"
        )
    if roll < 0.7:
        return rng.choice((money, number, clock))(rng)
    if roll < 0.8:
        return people.company(rng, split)
    word = rng.choice(common_words(split)) if rng.random() < 0.6 else made_up(rng)
    return word.upper() if rng.random() < 0.5 else word.capitalize()
