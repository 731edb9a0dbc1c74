"""Invoices: parties, numbers, dates, a table of items and totals."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from dvl2_cli.prompts import PRESETS
from nano_lab.rendering import people
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.layouts import MAX_FIELDS, field_turns, pick_layout, random_size
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.sheet import Cell, Sheet
from nano_lab.rendering.text import date
from nano_lab.rendering.wear import random_wear


@dataclass(frozen=True, slots=True)
class Layout:
    """Where an invoice's parts stand.

    ``head``: the seller in a coloured "banner", in one "row" with the title, "under" it, or
    "over" it in small print; ``align``: of seller and address; ``meta``: numbers and customer one
    below the other ("stacked"), in two columns ("sides") or those the other way round ("swapped").
    """

    head: Literal["banner", "row", "under", "over"]
    align: Literal["left", "centre", "right"] = "left"
    meta: Literal["stacked", "sides", "swapped"] = "stacked"


LAYOUTS: dict[str, Layout] = {
    "plain": Layout("row"),
    "banner-left": Layout("banner"),
    "centred": Layout("under", "centre"),
    "split": Layout("row", meta="sides"),
    "banner-right": Layout("banner", "right", "sides"),
    "banner-centre": Layout("banner", "centre"),
    "banner-sides": Layout("banner", meta="sides"),
    "banner-swapped": Layout("banner", "centre", "swapped"),
    "right": Layout("under", "right"),
    "right-sides": Layout("under", "right", "sides"),
    "right-swapped": Layout("over", "right", "swapped"),
    "centred-sides": Layout("under", "centre", "sides"),
    "letterhead": Layout("over", meta="sides"),
    "letterhead-right": Layout("over", "right"),
    "swapped": Layout("row", meta="swapped"),
}
_LABELS = {
    "invoice number": ("Invoice number", "Invoice No.", "Invoice #", "Number", "Invoice ID"),
    "invoice date": ("Invoice date", "Date", "Issued", "Date of issue"),
    "due date": ("Due date", "Payment due", "Due", "Pay by"),
    "order number": ("Order number", "Order No.", "PO number", "Your order"),
}
_CURRENCIES = ("${}", "€{}", "£{}", "{} EUR", "{} USD", "{}")


def draw(rng: random.Random, split: Split, most: int | None = MAX_FIELDS) -> Draft:
    """An invoice whose total is the sum of its items and the tax."""
    layout = LAYOUTS[pick_layout(rng, split, "invoice", tuple(LAYOUTS))]
    sheet = Sheet(rng, split, random_size(rng, split), lines=20)
    fields: dict[str, str] = {}
    _header(sheet, layout, fields)
    _meta(sheet, layout, fields)
    _items(sheet, fields)
    turns = [Turn(PRESETS["ocr"], sheet.canvas.text, "ocr")]
    turns += field_turns(fields, rng, split, most)
    return Draft(sheet.canvas, tuple(turns), sheet.paper, random_wear(rng, 0.3))


def _header(sheet: Sheet, layout: Layout, fields: dict[str, str]) -> None:
    rng, split = sheet.rng, sheet.split
    fields["company name"] = seller = people.company(rng, split)
    title = rng.choice(("Invoice", "INVOICE", "Tax Invoice"))
    if layout.head == "banner":
        sheet.band(0, sheet.y + sheet.size * 2.6, sheet.accent)
        sheet.gap(0.2)
        sheet.line(seller, layout.align, 1.6, bold=True, fill=(255, 255, 255))
        sheet.gap(1.0)
        sheet.line(title, layout.align, 1.3, bold=True)
    elif layout.head == "under":
        sheet.line(title, layout.align, 1.6, bold=True)
        sheet.line(seller, layout.align, 1.1, bold=True)
    elif layout.head == "over":
        sheet.line(seller, layout.align)
    else:
        middle = (sheet.left + sheet.right) * 0.58
        cells = [Cell(seller, sheet.left, middle), Cell(title, middle + 6, sheet.right, "right")]
        sheet.row(cells, 1.25, bold=True)
    sheet.line(f"{people.street(rng, split)}, {people.city(rng)}", layout.align, 0.9)
    if layout.head == "over":
        sheet.line(title, scale=1.5, bold=True)
    sheet.gap()


def _meta(sheet: Sheet, layout: Layout, fields: dict[str, str]) -> None:
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
    if layout.meta != "stacked":
        _side_by_side(sheet, billed, customer, labels, swapped=layout.meta == "swapped")
        return
    style = rng.choice(("colon", "apart", "colon"))
    right = sheet.right if style == "colon" else sheet.left + (sheet.right - sheet.left) * 0.75
    for label, value in labels:
        sheet.pair(label, value, sheet.left, right, style)
    sheet.pair(billed, customer, sheet.left, right, style)
    sheet.gap()


def _side_by_side(
    sheet: Sheet, billed: str, customer: str, labels: list[tuple[str, str]], *, swapped: bool
) -> None:
    """The customer on the left, numbers and dates on the right; or ``swapped``."""
    middle = (sheet.left + sheet.right) / 2
    customers = [billed, customer, people.city(sheet.rng)]
    numbers = [f"{label}: {value}" for label, value in labels]
    lefts, rights = (numbers, customers) if swapped else (customers, numbers)
    for index in range(max(len(lefts), len(rights))):
        cells = []
        if index < len(lefts):
            cells.append(Cell(lefts[index], sheet.left, middle - 8))
        if index < len(rights):
            cells.append(Cell(rights[index], middle, sheet.right, "right"))
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
