"""Letters: sender, date, recipient, subject, paragraphs, closing."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering import people
from nano_lab.rendering.block import Area, set_text
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.layouts import field_turns, pick_layout, random_size
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.sheet import Sheet
from nano_lab.rendering.text import date, sentence
from nano_lab.rendering.vocabulary import common_words
from nano_lab.rendering.wear import random_wear

LAYOUTS = ("left-sender", "centred-sender", "right-sender")


def draw(rng: random.Random, split: Split) -> Draft:
    """A letter that fills its page more or less."""
    layout = pick_layout(rng, split, "letter", LAYOUTS)
    sheet = Sheet(rng, split, random_size(rng, split), lines=22, genres=("sans", "serif"))
    align = layout.removesuffix("-sender").replace("centred", "centre")
    fields = {"sender": people.company(rng, split), "date": date(rng)}
    fields["recipient"] = people.person(rng, split)
    words = rng.choices(common_words(split), k=rng.randint(2, 3))
    fields["subject"] = " ".join(words).capitalize()
    sheet.line(fields["sender"], align, 1.2, bold=True)
    sheet.line(people.street(rng, split), align)
    sheet.line(people.city(rng), align)
    sheet.gap()
    sheet.line(fields["date"], rng.choice(("left", "right")))
    sheet.line(fields["recipient"])
    sheet.gap(0.4)
    sheet.line(f"{rng.choice(('Subject', 'Re'))}: {fields['subject']}", bold=True)
    sheet.gap(0.4)
    sheet.line(f"Dear {fields['recipient']},")
    _paragraphs(sheet)
    fields["signature"] = people.person(rng, split)
    sheet.line(rng.choice(("Yours sincerely,", "Kind regards,", "Best wishes,")))
    sheet.line(fields["signature"])
    turns = [Turn(PRESETS["ocr"], sheet.canvas.text, "ocr"), *field_turns(fields, rng, split, 3)]
    return Draft(sheet.canvas, tuple(turns), sheet.paper, random_wear(rng, 0.3))


def _paragraphs(sheet: Sheet) -> None:
    rng, face = sheet.rng, sheet.body()
    for _ in range(rng.choice((1, 2, 3, 9, 9))):
        room = sheet.lines_left - 4
        if room < 2:
            return
        tokens: list[str] = []
        for _ in range(rng.randint(1, 5)):
            tokens += sentence(rng, sheet.split, 0.05)
        bottom = int(sheet.y + room * sheet.size * sheet.leading)
        area = Area(sheet.left, round(sheet.y), sheet.right, bottom)
        below = set_text(sheet.canvas, area, tokens, face, sheet.ink, rng, leading=sheet.leading)
        sheet.y = below + sheet.size * 0.5
