"""Filled forms: labels with values on lines or in boxes, and ticked boxes."""

from __future__ import annotations

import random
from collections.abc import Callable

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering import people
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.layouts import MAX_FIELDS, field_turns, pick_layout, random_size
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.sheet import Cell, Sheet
from nano_lab.rendering.text import date, email, number, phone, price
from nano_lab.rendering.vocabulary import common_words
from nano_lab.rendering.wear import random_wear

LAYOUTS = ("colon", "apart", "below", "ruled", "two-column")
_VALUES: dict[str, Callable[[random.Random, Split], str]] = {
    "name": people.person,
    "date of birth": lambda rng, _: date(rng),
    "address": people.street,
    "city": lambda rng, _: people.city(rng),
    "phone number": lambda rng, _: phone(rng),
    "email": lambda rng, _: email(rng),
    "employer": people.company,
    "customer number": lambda rng, _: people.reference(rng),
    "policy number": lambda rng, _: people.reference(rng),
    "amount": lambda rng, _: price(rng),
    "occupation": lambda rng, split: rng.choice(common_words(split)).capitalize(),
    "passport number": lambda rng, _: f"{rng.choice('CFGHJK')}{rng.randint(10**7, 10**8 - 1)}",
    "account number": lambda rng, _: people.iban(rng),
    "weight": lambda rng, _: f"{rng.randint(40, 120)} kg",
    "height": lambda rng, _: f"{rng.randint(140, 205)} cm",
    "reference": lambda rng, _: number(rng),
    "start date": lambda rng, _: date(rng),
    "contact person": people.person,
    "department": lambda rng, split: rng.choice(common_words(split)).capitalize(),
}


def draw(rng: random.Random, split: Split, most: int | None = MAX_FIELDS) -> Draft:
    """Four to nine fields, in the order of a real form or not."""
    layout = pick_layout(rng, split, "form", LAYOUTS)
    names = rng.sample(list(_VALUES), rng.randint(4, 8))
    lines = 4 + len(names) * (2.2 if layout in {"below", "two-column"} else 1.5)
    sheet = Sheet(rng, split, random_size(rng, split), lines=lines)
    fields = {name: _VALUES[name](rng, split) for name in names}
    sheet.line(_title(rng, split), rng.choice(("left", "centre")), 1.4, bold=True)
    sheet.gap(0.6)
    if layout == "two-column":
        _two_columns(sheet, fields)
    else:
        _one_column(sheet, fields, layout)
    turns = [Turn(PRESETS["ocr"], sheet.canvas.text, "ocr"), *field_turns(fields, rng, split, most)]
    return Draft(sheet.canvas, tuple(turns), sheet.paper, random_wear(rng, 0.3))


def _title(rng: random.Random, split: Split) -> str:
    word = rng.choice(common_words(split)).capitalize()
    return f"{word} {rng.choice(('Form', 'Application', 'Registration', 'Record', 'Request'))}"


def _label(name: str) -> str:
    return name[:1].upper() + name[1:]


def _one_column(sheet: Sheet, fields: dict[str, str], layout: str) -> None:
    for name, value in fields.items():
        if layout != "ruled":
            sheet.pair(_label(name), value, sheet.left, sheet.right, layout)
            sheet.gap(0.25)
            continue
        middle = sheet.left + (sheet.right - sheet.left) * 0.42
        cells = [Cell(_label(name), sheet.left, middle - 6), Cell(value, middle, sheet.right)]
        sheet.row(cells)
        sheet.rule(middle)


def _two_columns(sheet: Sheet, fields: dict[str, str]) -> None:
    """Two fields side by side, label over value."""
    middle = (sheet.left + sheet.right) / 2
    items = list(fields.items())
    for index in range(0, len(items), 2):
        couple = items[index : index + 2]
        spans = [(sheet.left, middle - 6), (middle + 6, sheet.right)]
        sheet.row(
            [Cell(_label(n), *span) for (n, _), span in zip(couple, spans, strict=False)], 0.8
        )
        sheet.row([Cell(v, *span) for (_, v), span in zip(couple, spans, strict=False)], bold=True)
        sheet.gap(0.4)
