"""Boxes with labels drawn on a picture, and crops of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from dvl2_cli.ui.fonts import Font, font_for
from dvl2_cli.ui.labels import Rect, place_label

# Okabe and Ito's colours, told apart with any kind of colour vision, and four more.
_COLOURS = (
    (230, 159, 0),
    (0, 114, 178),
    (0, 158, 115),
    (213, 94, 0),
    (204, 121, 167),
    (86, 180, 233),
    (240, 228, 66),
    (142, 68, 173),
    (22, 96, 60),
    (178, 34, 52),
)
# Labels need this much room; smaller pictures are enlarged by a whole factor.
_SHORTEST_SIDE, _SHORTEST_LONG_SIDE, _LONGEST_ENLARGED = 96, 480, 8192

_REMEDY = "a Noto Sans font for its script helps"


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """A box (xyxy, pixels of the picture); boxes of one ``group`` share a colour."""

    box: tuple[float, float, float, float]
    label: str
    group: int = 0


@dataclass(frozen=True, slots=True)
class Drawing:
    """``image`` is ``scale`` times as large as the picture; ``notes`` are for the user."""

    image: Image.Image
    scale: int
    notes: tuple[str, ...]


def draw_boxes(picture: Image.Image, boxes: Sequence[LabelledBox]) -> Drawing:
    """A copy of ``picture`` (RGB) with every box outlined and named.

    A label in a script that no font here covers is drawn as "#N", N being its place in
    ``boxes``, and a note says so.
    """
    scale = _enlargement(picture.size)
    width, height = picture.width * scale, picture.height * scale
    canvas = (
        picture.resize((width, height), Image.Resampling.NEAREST) if scale > 1 else picture.copy()
    )
    pen = ImageDraw.Draw(canvas)
    shorter = min(width, height)
    line = max(2, min(round(shorter / 250), 12))
    size = max(13, min(round(shorter / 32), 72))
    # Largest first, so that small boxes stay visible on top of them.
    order = sorted(range(len(boxes)), key=lambda index: -_area(boxes[index]))
    outlines = [_pixels(item, scale, (width, height)) for item in boxes]
    for index in order:
        _outline(pen, outlines[index], colour_of(boxes[index]), line)
    taken: list[Rect] = []
    notes: list[str] = []
    for index in order:
        if boxes[index].label:
            text, font = _legible(index, boxes[index].label, size, notes)
            taken.append(_label(pen, text, font, outlines[index], boxes[index], taken, canvas.size))
    return Drawing(canvas, scale, tuple(notes))


def outline_boxes(
    small: Image.Image, boxes: Sequence[LabelledBox], scale: tuple[float, float]
) -> None:
    """Draw lines of one pixel on ``small``, a picture shrunk by ``scale`` (x, y)."""
    pen = ImageDraw.Draw(small)
    for item in sorted(boxes, key=_area, reverse=True):
        x1, y1, x2, y2 = (math.floor(value * scale[at % 2]) for at, value in enumerate(item.box))
        right, bottom = min(x2, small.width - 1), min(y2, small.height - 1)
        pen.rectangle((min(x1, right), min(y1, bottom), right, bottom), outline=colour_of(item))


def crop(picture: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """The part of ``picture`` under ``box``, grown to whole pixels, at least one of them."""
    left, top = math.floor(box[0]), math.floor(box[1])
    left, top = max(min(left, picture.width - 1), 0), max(min(top, picture.height - 1), 0)
    right = max(min(math.ceil(box[2]), picture.width), left + 1)
    bottom = max(min(math.ceil(box[3]), picture.height), top + 1)
    return picture.crop((left, top, right, bottom))


def _enlargement(size: tuple[int, int]) -> int:
    shorter, longer = sorted(size)
    wanted = max(math.ceil(_SHORTEST_SIDE / shorter), math.ceil(_SHORTEST_LONG_SIDE / longer))
    return max(1, min(wanted, _LONGEST_ENLARGED // longer))


def _area(item: LabelledBox) -> float:
    return (item.box[2] - item.box[0]) * (item.box[3] - item.box[1])


def _pixels(item: LabelledBox, scale: int, canvas: tuple[int, int]) -> Rect:
    x1, y1, x2, y2 = (round(value * scale) for value in item.box)
    x1, y1 = max(min(x1, canvas[0] - 2), 0), max(min(y1, canvas[1] - 2), 0)
    return (x1, y1, max(min(x2, canvas[0] - 1), x1 + 1), max(min(y2, canvas[1] - 1), y1 + 1))


def colour_of(item: LabelledBox) -> tuple[int, int, int]:
    """What the box is drawn in: red, green and blue."""
    return _COLOURS[item.group % len(_COLOURS)]


def _text_colour(background: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever stands out more (WCAG relative luminance)."""
    linear = [
        value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def _outline(pen: ImageDraw.ImageDraw, box: Rect, colour: tuple[int, int, int], line: int) -> None:
    """The coloured line lies inside the box, between thin lines that contrast with it."""
    edge = _text_colour(colour)
    x1, y1, x2, y2 = box
    pen.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=edge)
    inset = min(line, (x2 - x1) // 2, (y2 - y1) // 2)
    pen.rectangle((x1 + inset, y1 + inset, x2 - inset, y2 - inset), outline=edge)
    pen.rectangle(box, outline=colour, width=max(inset, 1))


def _legible(index: int, label: str, size: int, notes: list[str]) -> tuple[str, Font]:
    flat = " ".join("".join(char if char.isprintable() else " " for char in label).split())
    font, complete = font_for(flat, size)
    if complete:
        return flat, font
    notes.append(f"no installed font can write {flat!r}: its box is marked #{index}; {_REMEDY}")
    mark = f"#{index}"
    return mark, font_for(mark, size)[0]


def _label(
    pen: ImageDraw.ImageDraw,
    text: str,
    font: Font,
    box: Rect,
    item: LabelledBox,
    taken: Sequence[Rect],
    canvas: tuple[int, int],
) -> Rect:
    text = _shortened(pen, text, font, canvas[0])
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    # One height for all labels of a picture, whatever letters they have.
    sample = pen.textbbox((0, 0), "Ágj|", font=font)
    top, bottom = min(top, sample[1]), max(bottom, sample[3])
    pad = max(2, round((bottom - top) / 6))
    size = (math.ceil(right - left) + 2 * pad, math.ceil(bottom - top) + 2 * pad)
    spot = place_label(box, size, canvas, taken)
    colour = colour_of(item)
    pen.rectangle((spot[0], spot[1], spot[2] - 1, spot[3] - 1), fill=colour)
    pen.text((spot[0] + pad - left, spot[1] + pad - top), text, _text_colour(colour), font=font)
    return spot


def _shortened(pen: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> str:
    room = width * 0.9
    if pen.textlength(text, font=font) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if pen.textlength(text[:middle] + "…", font=font) <= room:
            low = middle
        else:
            high = middle - 1
    return text[: max(low, 1)].rstrip() + "…"
