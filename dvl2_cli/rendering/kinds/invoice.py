"""Invoices: parties, numbers, dates, a table of items and totals."""

from __future__ import annotations

import random

from dvl2_cli.prompts import PRESETS
from dvl2_cli.rendering import people
from dvl2_cli.rendering.draft import Draft
from dvl2_cli.rendering.layouts import SIZES, field_turns, pick_layout
from dvl2_cli.rendering.sample import Split, Turn
from dvl2_cli.rendering.sheet import Cell, Sheet
from dvl2_cli.rendering.text import date
from dvl2_cli.rendering.wear import random_wear

LAYOUTS = ("plain", "banner-left", "centred", "split", "banner-right")
_LABELS = {
    "invoice number": ("Invoice number", "Invoice No.", "Invoice #", "Number", "Invoice ID"),
    "invoice date": ("Invoice date", "Date", "Issued", "Date of issue"),
    "due date": ("Due date", "Payment due", "Due", "Pay by"),
    "order number": ("Order number", "Order No.", "PO number", "Your order"),
}
_CURRENCIES = ("${}", "€{}", "£{}", "{} EUR", "{} USD", "{}")


def draw(rng: random.Random, split: Split) -> Draft:
    """An invoice whose total is the sum of its items and the tax."""
    layout = pick_layout(rng, split, "invoice", LAYOUTS)
    sheet = Sheet(rng, split, rng.choice(SIZES), lines=20)
    fields: dict[str, str] = {}
    _header(sheet, layout, fields)
    _meta(sheet, layout, fields)
    _items(sheet, fields)
    turns = [Turn(PRESETS["ocr"], sheet.canvas.text, "ocr")]
    turns += field_turns(fields, rng, split)
    return Draft(sheet.canvas, tuple(turns), sheet.paper, random_wear(rng, 0.3))


def _header(sheet: Sheet, layout: str, fields: dict[str, str]) -> None:
    rng, split = sheet.rng, sheet.split
    fields["company name"] = seller = people.company(rng, split)
    title = rng.choice(("Invoice", "INVOICE", "Tax Invoice"))
    if layout.startswith("banner"):
        sheet.band(0, sheet.y + sheet.size * 2.6, sheet.accent)
        align = layout.removeprefix("banner-")
        sheet.gap(0.2)
        sheet.line(seller, align, 1.6, bold=True, fill=(255, 255, 255))
        sheet.gap(1.0)
        sheet.line(title, align, 1.3, bold=True)
    elif layout == "centred":
        sheet.line(title, "centre", 1.6, bold=True)
        sheet.line(seller, "centre", 1.1, bold=True)
    else:
        middle = (sheet.left + sheet.right) * 0.58
        cells = [Cell(seller, sheet.left, middle), Cell(title, middle + 6, sheet.right, "right")]
        sheet.row(cells, 1.25, bold=True)
    align = {"centred": "centre", "banner-right": "right"}.get(layout, "left")
    sheet.line(f"{people.street(rng, split)}, {people.city(rng)}", align, 0.9)
    sheet.gap()


def _meta(sheet: Sheet, layout: str, fields: dict[str, str]) -> None:
    rng, split = sheet.rng, sheet.split
    fields["invoice number"] = people.reference(rng)
    fields["invoice date"] = date(rng)
    if rng.random() < 0.7:
        fields["due date"] = date(rng)
    if rng.random() < 0.4:
        fields["order number"] = people.reference(rng)
    fields["customer name"] = customer = (
        people.person(rng, split) if rng.random() < 0.5 else people.company(rng, split)
    )
    billed = rng.choice(("Bill to", "Billed to", "Customer", "Invoice to"))
    labels = [(rng.choice(_LABELS[name]), fields[name]) for name in _LABELS if name in fields]
    if layout in {"split", "banner-right"}:
        _side_by_side(sheet, billed, customer, labels)
        return
    style = rng.choice(("colon", "apart", "colon"))
    right = sheet.right if style == "colon" else sheet.left + (sheet.right - sheet.left) * 0.75
    for label, value in labels:
        sheet.pair(label, value, sheet.left, right, style)
    sheet.pair(billed, customer, sheet.left, right, style)
    sheet.gap()


def _side_by_side(sheet: Sheet, billed: str, customer: str, labels: list[tuple[str, str]]) -> None:
    """The customer on the left, numbers and dates on the right."""
    middle = (sheet.left + sheet.right) / 2
    lefts = [billed, customer, people.city(sheet.rng)]
    for index in range(max(len(lefts), len(labels))):
        cells = []
        if index < len(lefts):
            cells.append(Cell(lefts[index], sheet.left, middle - 8))
        if index < len(labels):
            label, value = labels[index]
            cells.append(Cell(f"{label}: {value}", middle, sheet.right, "right"))
        sheet.row(cells)
    sheet.gap()


def _items(sheet: Sheet, fields: dict[str, str]) -> None:
    rng = sheet.rng
    money = rng.choice(_CURRENCIES)
    span = sheet.right - sheet.left
    edges = [sheet.left + span * part for part in (0, 0.44, 0.56, 0.77, 1)]
    heads = (rng.choice(("Description", "Item")), "Qty", rng.choice(("Price", "Unit")), "Amount")
    sheet.rule()
    _item_row(sheet, edges, heads, bold=True)
    sheet.rule()
    total = 0.0
    for _ in range(max(1, min(rng.randint(1, 8), sheet.lines_left - 6))):
        count, unit = rng.randint(1, 20), round(rng.uniform(1, 400), 2)
        total += count * unit
        row = (people.goods(rng), str(count), f"{unit:.2f}", f"{count * unit:.2f}")
        _item_row(sheet, edges, row)
    sheet.rule()
    _totals(sheet, fields, total, money)


def _item_row(
    sheet: Sheet, edges: list[float], texts: tuple[str, ...], *, bold: bool = False
) -> None:
    sheet.row(
        [
            Cell(text, edges[index], edges[index + 1] - 4, "right" if index else "left")
            for index, text in enumerate(texts)
        ],
        bold=bold,
    )


def _totals(sheet: Sheet, fields: dict[str, str], net: float, money: str) -> None:
    rng = sheet.rng
    left = sheet.left + (sheet.right - sheet.left) * rng.choice((0.0, 0.35, 0.45))
    gross = net
    if rng.random() < 0.75:
        rate = rng.choice((5, 7, 10, 19, 20, 25))
        tax = round(net * rate / 100, 2)
        gross = net + tax
        fields["subtotal"], fields["tax"] = money.format(f"{net:,.2f}"), money.format(f"{tax:,.2f}")
        sheet.pair("Subtotal", fields["subtotal"], left, sheet.right, "apart")
        label = f"{rng.choice(('Tax', 'VAT'))} {rate}%"
        sheet.pair(label, fields["tax"], left, sheet.right, "apart")
    fields["total"] = money.format(f"{gross:,.2f}")
    label = rng.choice(("Total", "TOTAL", "Total due", "Amount due", "Grand total"))
    sheet.pair(label, fields["total"], left, sheet.right, "apart")
    if sheet.lines_left >= 2 and rng.random() < 0.5:
        sheet.gap(0.4)
        fields["IBAN"] = people.iban(rng)
        sheet.line(f"IBAN: {fields['IBAN']}")
