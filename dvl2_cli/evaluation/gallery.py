"""A contact sheet: pictures with question, answer, boxes and score."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from dvl2_cli.evaluation.item import Box999, ItemResult
from dvl2_cli.evaluation.scoring import boxes_of
from dvl2_cli.files import atomic_write
from dvl2_cli.ui.control import printable
from dvl2_cli.ui.fonts import font_for

GALLERY = "gallery.png"
_CARD, _PICTURE, _TEXT_LINES, _COLUMNS = 420, 400, 9, 5
_LINE = 16
_RIGHT, _WRONG, _WANTED = (0, 120, 50), (190, 20, 20), (0, 140, 70)


def pick(results: Sequence[ItemResult], count: int = 10) -> list[ItemResult]:
    """``count`` results, from every group in turn, each group starting at another item.

    No result is preferred for its score.
    """
    groups: dict[str, list[ItemResult]] = defaultdict(list)
    for result in results:
        groups[result.item.group].append(result)
    # The groups of a part share pictures: staggered starts show different ones.
    queues = [
        list(reversed(group[i % len(group) :] + group[: i % len(group)]))
        for i, group in enumerate(groups.values())
    ]
    chosen: list[ItemResult] = []
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop())
    return chosen


def write_gallery(results: Sequence[ItemResult], path: Path, count: int = 10) -> None:
    """Write the contact sheet of ``pick`` as PNG.

    Answer boxes are red, the right ones green.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    chosen = pick(results, count)
    rows = -(-len(chosen) // _COLUMNS)
    height = _PICTURE + _TEXT_LINES * _LINE + 20
    sheet = Image.new("RGB", (_COLUMNS * _CARD, max(1, rows) * height), "white")
    for index, result in enumerate(chosen):
        card = _card(result, height)
        sheet.paste(card, (index % _COLUMNS * _CARD, index // _COLUMNS * height))
    with atomic_write(path, "wb") as stream:
        sheet.save(stream, "PNG", optimize=True)


def _card(result: ItemResult, height: int) -> Image.Image:
    card = Image.new("RGB", (_CARD, height), "white")
    item = result.item
    if item.images:
        picture = item.images[-1].convert("RGB")
        picture.thumbnail((_PICTURE, _PICTURE), Image.Resampling.LANCZOS)
        _draw_boxes(picture, item.boxes, _WANTED)
        _draw_boxes(picture, boxes_of(result.answer), _WRONG)
        card.paste(picture, (10, 6))
    draw = ImageDraw.Draw(card)
    draw.rectangle((0, 0, _CARD - 1, height - 1), outline=(200, 200, 200))
    _write(draw, result)
    return card


def _write(draw: ImageDraw.ImageDraw, result: ItemResult) -> None:
    item, y = result.item, _PICTURE + 12
    good = result.score <= 0.02 if item.metric == "cer" else result.score >= 0.5
    label = "CER" if item.metric == "cer" else "score"
    parts = (
        (f"{item.group}  {label} {result.score:.3f}  {result.seconds:.1f} s", (90, 90, 90), 1),
        (f"Q: {item.question}", (0, 0, 0), 2),
        (f"A: {result.answer}", _RIGHT if good else _WRONG, 4),
        (f"Wanted: {item.reference}", (90, 90, 90), 2),
    )
    for text, colour, most in parts:
        flat = " ".join(printable(text).split())
        for line in textwrap.wrap(flat, 60, max_lines=most, placeholder=" …") or [""]:
            draw.text((10, y), line, fill=colour, font=font_for(line, 13)[0])
            y += _LINE


def _draw_boxes(
    picture: Image.Image, boxes: Sequence[Box999], colour: tuple[int, int, int]
) -> None:
    draw = ImageDraw.Draw(picture)
    for box in boxes:
        corners = [value / 999 * side for value, side in zip(box, picture.size * 2, strict=True)]
        draw.rectangle(corners, outline=colour, width=2)
