"""Tables with a caption, a head and rows, asked for as text and as Markdown."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from dvl2_cli.prompts import PRESETS, extract_field
from nano_lab.rendering import people
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.layouts import pick_layout
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.sheet import Cell, Sheet
from nano_lab.rendering.text import clock, code, date, price
from nano_lab.rendering.vocabulary import common_words
from nano_lab.rendering.wear import random_wear

LAYOUTS = ("grid", "rules", "striped", "bare", "dark-head")
_SIZES = ((384, 384),) * 4 + ((512, 384), (768, 384), (640, 480), (384, 512))
_COLUMNS: dict[str, Callable[[random.Random, Split], str]] = {
    "Name": people.surname,
    "City": lambda rng, _: people.city(rng).strip("0123456789 ") or "Rome",
    "Price": lambda rng, _: price(rng),
    "Qty": lambda rng, _: str(rng.randint(0, 999)),
    "Date": lambda rng, _: date(rng),
    "Code": lambda rng, _: code(rng).replace("|", "/"),
    "Time": lambda rng, _: clock(rng),
    "Item": lambda rng, _: people.goods(rng),
    "Share": lambda rng, _: f"{rng.randint(0, 1000) / 10}%",
    "Word": lambda rng, split: rng.choice(common_words(split)),
    "Score": lambda rng, _: f"{rng.randint(0, 100) / 10}",
    "Status": lambda rng, _: rng.choice(("open", "closed", "paid", "late", "new", "yes", "no")),
    "Year": lambda rng, _: str(rng.randint(1950, 2039)),
}


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as GitHub-flavoured Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(rng: random.Random, split: Split) -> Draft:
    """Two to five columns, two to nine rows."""
    layout = pick_layout(rng, split, "table", LAYOUTS)
    size = rng.choice(_SIZES)
    columns = rng.sample(list(_COLUMNS), rng.randint(2, 3 if size[0] < 500 else 5))
    count = rng.randint(2, 9)
    sheet = Sheet(rng, split, size, lines=count * 1.3 + 4)
    rows = [[_COLUMNS[name](rng, split) for name in columns] for _ in range(count)]
    columns, rows = _narrowed(sheet, columns, rows)
    title = ""
    if rng.random() < 0.5:
        words = rng.sample(common_words(split), rng.randint(1, 3))
        title = " ".join(words).capitalize()
        sheet.line(title, rng.choice(("left", "centre")), 1.25, bold=True)
        sheet.gap(0.5)
    _draw_rows(sheet, layout, columns, rows)
    table = markdown_table(columns, rows)
    document = f"## {title}\n\n{table}" if title else table
    turns = [
        Turn(PRESETS["ocr"], sheet.canvas.text, "ocr"),
        Turn(PRESETS["table"], table, "table"),
        Turn(PRESETS["markdown"], document, "markdown"),
        _lookup(rng, columns, rows),
    ]
    return Draft(sheet.canvas, tuple(turns), sheet.paper, random_wear(rng, 0.3))


def _lookup(rng: random.Random, columns: list[str], rows: list[list[str]]) -> Turn:
    """One cell, found by its column and the first cell of its row."""
    firsts = [row[0] for row in rows]
    unique = [row for row in rows if firsts.count(row[0]) == 1] or rows[:1]
    row, index = rng.choice(unique), rng.randrange(1, len(columns))
    return Turn(extract_field(f"{columns[index].lower()} of {row[0]}"), row[index], "field")


def _draw_rows(sheet: Sheet, layout: str, head: list[str], rows: list[list[str]]) -> None:
    rng = sheet.rng
    edges = _edges(sheet, head, rows)
    aligns = [rng.choice(("left", "left", "right", "centre")) for _ in head]
    room = (sheet.height - sheet.margin - sheet.y) / (len(rows) + 1)
    pad = max(0.0, min(sheet.size * rng.uniform(0.1, 0.45), (room - sheet.size * 1.32) / 2))
    tops = []
    for number, texts in enumerate([head, *rows]):
        tops.append(sheet.y)
        height = sheet.size * sheet.leading + 2 * pad
        fill = _shade(sheet, layout, number, edges, height)
        sheet.y += pad
        cells = [
            Cell(text, edges[i] + 5, edges[i + 1] - 5, aligns[i]) for i, text in enumerate(texts)
        ]
        sheet.row(cells, bold=number == 0, fill=fill)
        sheet.y += pad
    tops.append(sheet.y)
    _draw_grid(sheet, layout, edges, tops)


def _widest(sheet: Sheet, head: list[str], rows: list[list[str]]) -> list[float]:
    """The room that every column needs, in pixels."""
    face = sheet.body(bold=True)
    return [max(face.width(line[i]) for line in [head, *rows]) + 12 for i in range(len(head))]


def _narrowed(
    sheet: Sheet, head: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """The table without the last columns that do not fit on the sheet; two stay."""
    while len(head) > 2 and sum(_widest(sheet, head, rows)) > sheet.right - sheet.left:
        head, rows = head[:-1], [row[:-1] for row in rows]
    return head, rows


def _edges(sheet: Sheet, head: list[str], rows: list[list[str]]) -> list[float]:
    """Column edges in proportion to the widest cells."""
    widest = _widest(sheet, head, rows)
    span = sheet.right - sheet.left
    stretch = span / sum(widest)
    if stretch > 1:
        stretch = sheet.rng.uniform(1, stretch)
    edges = [float(sheet.left)]
    for width in widest:
        edges.append(edges[-1] + width * stretch)
    return edges


def _shade(
    sheet: Sheet, layout: str, number: int, edges: list[float], height: float
) -> tuple[int, int, int] | None:
    """Paint what lies behind a row; returns the ink if it differs from the sheet's."""
    box = (edges[0], sheet.y, edges[-1], sheet.y + height)
    if layout == "dark-head" and number == 0:
        sheet.canvas.draw.rectangle(box, fill=sheet.accent)
        return (255, 255, 255)
    if layout == "striped" and number % 2:
        red, green, blue = (
            (9 * paper + ink) // 10 for paper, ink in zip(sheet.paper, sheet.ink, strict=True)
        )
        sheet.canvas.draw.rectangle(box, fill=(red, green, blue))
    return None


def _draw_grid(sheet: Sheet, layout: str, edges: list[float], tops: list[float]) -> None:
    draw, ink = sheet.canvas.draw, sheet.ink
    if layout == "grid":
        for x in edges:
            draw.line((x, tops[0], x, tops[-1]), fill=ink)
        for y in tops:
            draw.line((edges[0], y, edges[-1], y), fill=ink)
    elif layout in {"rules", "dark-head"}:
        for y in (tops[0], tops[1], tops[-1]):
            draw.line((edges[0], y, edges[-1], y), fill=ink)
