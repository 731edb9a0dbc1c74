"""Till receipts: a shop, items with prices, total, payment."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering import people
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.layouts import MAX_FIELDS, field_turns, pick_layout
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.sheet import Cell, Sheet
from nano_lab.rendering.text import clock, date
from nano_lab.rendering.wear import random_wear

LAYOUTS = ("plain", "dashed", "starred", "boxed")
_SIZES = ((384, 384), (384, 384), (384, 600), (384, 768))


def draw(rng: random.Random, split: Split, most: int | None = MAX_FIELDS) -> Draft:
    """A narrow receipt, mostly in a monospaced face."""
    layout = pick_layout(rng, split, "receipt", LAYOUTS)
    genres = ("mono",) if rng.random() < 0.6 else ("sans", "mono")
    sheet = Sheet(rng, split, rng.choice(_SIZES), lines=17, genres=genres)  # type: ignore[arg-type]
    if layout == "boxed":
        edge = (4, 4, sheet.width - 5, sheet.height - 5)
        sheet.canvas.draw.rectangle(edge, outline=sheet.ink, width=2)
    fields = {"shop name": people.company(rng, split), "date": date(rng), "time": clock(rng)}
    sheet.line(fields["shop name"], "centre", 1.3, bold=True)
    sheet.line(people.street(rng, split), "centre")
    sheet.row(
        [
            Cell(fields["date"], sheet.left, sheet.left + sheet.width * 0.6),
            Cell(fields["time"], sheet.left + sheet.width * 0.6, sheet.right, "right"),
        ]
    )
    _divide(sheet, layout)
    total = _items(sheet)
    _divide(sheet, layout)
    _payment(sheet, total, fields)
    turns = [Turn(PRESETS["ocr"], sheet.canvas.text, "ocr"), *field_turns(fields, rng, split, most)]
    return Draft(sheet.canvas, tuple(turns), sheet.paper, random_wear(rng, 0.4))


def _divide(sheet: Sheet, layout: str) -> None:
    if layout == "plain" or layout == "boxed":
        sheet.rule()
        return
    mark = "-" if layout == "dashed" else "*"
    count = int((sheet.right - sheet.left) / sheet.body().width(mark)) - 1
    sheet.line(mark * min(count, 24), "centre")


def _items(sheet: Sheet) -> float:
    rng, total = sheet.rng, 0.0
    for _ in range(max(1, min(rng.randint(2, 12), sheet.lines_left - 7))):
        cost = round(rng.uniform(0.3, 80), 2)
        total += cost
        name = people.goods(rng)
        name = name.upper() if rng.random() < 0.4 else name
        _amount(sheet, name, f"{cost:.2f}")
    return total


def _amount(sheet: Sheet, label: str, value: str, *, bold: bool = False) -> None:
    split_at = sheet.left + (sheet.right - sheet.left) * 0.66
    cells = [Cell(label, sheet.left, split_at), Cell(value, split_at, sheet.right, "right")]
    sheet.row(cells, bold=bold)


def _payment(sheet: Sheet, total: float, fields: dict[str, str]) -> None:
    rng = sheet.rng
    sign = rng.choice(("", "$", "€", "£"))
    fields["total"] = f"{sign}{total:.2f}"
    _amount(sheet, rng.choice(("TOTAL", "Total", "Sum", "To pay")), fields["total"], bold=True)
    if rng.random() < 0.5:
        given = total + round(rng.uniform(0, 30), 2)
        fields["cash"], fields["change"] = f"{given:.2f}", f"{given - total:.2f}"
        _amount(sheet, "Cash", fields["cash"])
        _amount(sheet, "Change", fields["change"])
    else:
        fields["card number"] = f"**** {rng.randrange(10000):04}"
        _amount(sheet, "Card", fields["card number"])
    if sheet.lines_left >= 2 and rng.random() < 0.7:
        sheet.gap(0.3)
        sheet.line(
            rng.choice(("Thank you!", "THANK YOU", "Have a nice day", "Welcome back")), "centre"
        )
