"""Bar, line and pie charts that print their values."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from dvl2_cli.prompts import PRESETS, extract_field
from nano_lab.rendering import people
from nano_lab.rendering.catalogue import COLOURS
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.kinds.table import markdown_table
from nano_lab.rendering.layouts import pick_layout
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.sheet import Cell, Sheet
from nano_lab.rendering.vocabulary import common_words
from nano_lab.rendering.wear import random_wear

LAYOUTS = ("vertical", "horizontal", "line", "pie", "horizontal-light")
_SIZES = ((384, 384),) * 4 + ((512, 384), (640, 480), (768, 512))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Series:
    """What a chart shows: labels and their values, with the title over them."""

    title: str
    labels: list[str]
    values: list[float]

    def printed(self, index: int) -> str:
        """A value as it stands in the chart."""
        return f"{self.values[index]:g}"


def draw(rng: random.Random, split: Split) -> Draft:
    """Three to seven values."""
    layout = pick_layout(rng, split, "chart", LAYOUTS)
    sheet = Sheet(rng, split, rng.choice(_SIZES), lines=16, genres=("sans", "serif"))
    series = _series(rng, split)
    sheet.line(series.title, rng.choice(("left", "centre")), 1.2, bold=True)
    sheet.gap(0.6)
    if layout == "vertical":
        _columns(sheet, series)
    elif layout == "line":
        _polyline(sheet, series)
    elif layout == "pie":
        _pie(sheet, series)
    else:
        _bars(sheet, series, light=layout == "horizontal-light")
    return Draft(sheet.canvas, _turns(series, sheet), sheet.paper, random_wear(rng, 0.3))


def _series(rng: random.Random, split: Split) -> Series:
    count = rng.randint(3, 6)
    kind = rng.randrange(4)
    if kind == 0:
        start = rng.randrange(12)
        labels = [_MONTHS[(start + i) % 12] for i in range(count)]
    elif kind == 1:
        first = rng.randint(1990, 2030)
        labels = [str(first + i) for i in range(count)]
    else:
        words = common_words(split)
        found = {rng.choice(words).capitalize()[:7] for _ in range(40)}
        names = (
            sorted(found) if kind == 2 else sorted({people.surname(rng, split) for _ in range(40)})
        )
        labels = rng.sample(names, min(count, len(names)))
    top = rng.choice((10, 50, 100, 100, 500, 1000))
    values = [
        rng.randint(top // 10, top) if top > 10 else rng.randint(10, 100) / 10 for _ in labels
    ]
    per = rng.choice(("month", "year", "team", "region"))
    title = f"{rng.choice(common_words(split)).capitalize()} per {per}"
    return Series(title, labels, [float(value) for value in values])


def _turns(series: Series, sheet: Sheet) -> tuple[Turn, ...]:
    rows = [[label, series.printed(i)] for i, label in enumerate(series.labels)]
    index = sheet.rng.randrange(len(rows))
    turns = [
        Turn(PRESETS["chart-to-table"], markdown_table(["Label", "Value"], rows), "chart-to-table"),
        Turn(extract_field(f"value of {series.labels[index]}"), series.printed(index), "field"),
        Turn(extract_field("title of the chart"), series.title, "field"),
        Turn(PRESETS["ocr"], sheet.canvas.text, "ocr"),
    ]
    for word, pick in (("highest", max), ("lowest", min)):
        best = pick(series.values)
        if series.values.count(best) == 1:
            label = series.labels[series.values.index(best)]
            turns.append(Turn(f"Which label has the {word} value?", label, "chart"))
    return tuple(turns)


def _colour(sheet: Sheet, index: int, *, same: bool) -> tuple[int, int, int]:
    if same:
        return sheet.accent
    names = ("blue", "orange", "green", "red", "purple", "brown", "pink")
    return COLOURS[names[index % len(names)]]


def _columns(sheet: Sheet, series: Series) -> None:
    """Upright bars: values above, labels below, read row by row."""
    same = sheet.rng.random() < 0.5
    bottom = sheet.height - sheet.margin - sheet.size * 1.5
    top = sheet.y + sheet.size * 1.6
    pitch = (sheet.right - sheet.left) / len(series.labels)
    highest = max(series.values)
    heads = [bottom - (bottom - top) * value / highest for value in series.values]
    for index, head in enumerate(heads):
        left = sheet.left + pitch * index
        box = (left + pitch * 0.2, head, left + pitch * 0.8, bottom)
        sheet.canvas.draw.rectangle(box, fill=_colour(sheet, index, same=same))
    sheet.canvas.draw.line((sheet.left, bottom, sheet.right, bottom), fill=sheet.ink)
    _values_then_labels(sheet, series, heads, bottom, pitch)


def _values_then_labels(
    sheet: Sheet, series: Series, heads: list[float], bottom: float, pitch: float
) -> None:
    # Reading order: labels belong together in one line; each value is a line of its own.
    spans = [
        (sheet.left + pitch * i, sheet.left + pitch * (i + 1)) for i in range(len(series.labels))
    ]
    for index in sorted(range(len(heads)), key=lambda i: (heads[i], i)):
        sheet.y = heads[index] - sheet.size * 1.3
        sheet.row([Cell(series.printed(index), *spans[index], "centre")])
    sheet.y = bottom + sheet.size * 0.2
    sheet.row(
        [
            Cell(label, s[0] + 1, s[1] - 1, "centre")
            for label, s in zip(series.labels, spans, strict=True)
        ]
    )


def _polyline(sheet: Sheet, series: Series) -> None:
    bottom = sheet.height - sheet.margin - sheet.size * 1.7
    top = sheet.y + sheet.size * 1.6
    pitch = (sheet.right - sheet.left) / len(series.labels)
    highest = max(series.values)
    heads = [bottom - (bottom - top) * value / highest for value in series.values]
    points = [(sheet.left + pitch * (i + 0.5), head) for i, head in enumerate(heads)]
    draw = sheet.canvas.draw
    draw.line((sheet.left, bottom, sheet.right, bottom), fill=sheet.ink)
    draw.line((sheet.left, top, sheet.left, bottom), fill=sheet.ink)
    draw.line(points, fill=sheet.accent, width=2)
    for x, y in points:
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=sheet.accent)
    _values_then_labels(sheet, series, heads, bottom, pitch)


def _bars(sheet: Sheet, series: Series, *, light: bool) -> None:
    """Lying bars: label, bar, value in each row."""
    same = sheet.rng.random() < 0.5
    face = sheet.body()
    label_room = max(face.width(label) for label in series.labels) + 8
    value_room = max(face.width(series.printed(i)) for i in range(len(series.labels))) + 10
    start = sheet.left + label_room
    room = max(20.0, sheet.right - start - value_room)
    pitch = (sheet.height - sheet.margin - sheet.y) / len(series.labels)
    for index, label in enumerate(series.labels):
        middle = sheet.y + pitch / 2
        end = start + room * series.values[index] / max(series.values)
        box = (start, middle - pitch * 0.3, end, middle + pitch * 0.3)
        colour = _colour(sheet, index, same=same)
        if light:
            sheet.canvas.draw.rectangle(box, outline=colour, width=2)
        else:
            sheet.canvas.draw.rectangle(box, fill=colour)
        after = sheet.y + pitch
        sheet.y = middle - sheet.size * 0.6
        cells = [Cell(label, sheet.left, start), Cell(series.printed(index), end + 6, sheet.right)]
        sheet.row(cells)
        sheet.y = after


def _pie(sheet: Sheet, series: Series) -> None:
    """Slices with a legend below that holds labels and values."""
    rows = len(series.labels) * sheet.size * sheet.leading
    room = sheet.height - sheet.margin - sheet.y - rows - sheet.size
    radius = max(20.0, min(room, sheet.width - 2 * sheet.margin) / 2)
    middle = sheet.width / 2
    box = (middle - radius, sheet.y, middle + radius, sheet.y + 2 * radius)
    start, total = -90.0, math.fsum(series.values)
    for index, value in enumerate(series.values):
        end = start + 360 * value / total
        sheet.canvas.draw.pieslice(box, start, end, fill=_colour(sheet, index, same=False))
        start = end
    sheet.y = box[3] + sheet.size * 0.6
    for index, label in enumerate(series.labels):
        y = sheet.y + sheet.size * 0.25
        key = (sheet.left, y, sheet.left + sheet.size * 0.7, y + sheet.size * 0.7)
        sheet.canvas.draw.rectangle(key, fill=_colour(sheet, index, same=False))
        text = f"{label}: {series.printed(index)}"
        sheet.row([Cell(text, sheet.left + sheet.size * 1.2, sheet.right)])
