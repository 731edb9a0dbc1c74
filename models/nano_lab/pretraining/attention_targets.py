"""Where in the picture each answer token is to be found: the attention targets.

A transcript's character aims at the cell of its glyph, an object's name and box at the
cell of the box's centre, and what is repeated from the question at the question. Attention
heads are supervised to look there (see guided_attention), so the decoder follows lines long
before it would find out from the characters alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dvl2_cli.finetuning.batch import PlacedImage
from dvl2_cli.finetuning.layout import CELLS
from nano_lab.pretraining.glyph_labels import (
    BIN_COLUMNS,
    BIN_ROWS,
    CELL,
    THUMBNAIL_TOKENS,
    TILE,
    VISIBLE,
    placement,
)
from nano_lab.rendering.sample import Glyph, Turn

BOXED = re.compile(r"<\|ref\|>.*?<\|/det\|>", re.DOTALL)
BOX = re.compile(r"\[(\d+), (\d+), (\d+), (\d+)\]")
_REPEATED = (
    re.compile(r"<\|ref\|>(.*?)<\|/ref\|>"),
    re.compile(r"^There is no (.*) in this image\.$"),
    re.compile(r"^(.*)$"),
)
NOWHERE = -1

Spot = tuple[float, float]


def repeated(turn: Turn) -> tuple[int, int] | None:
    """The stretch of the answer, (start, end), that only repeats a stretch of the question."""
    for pattern in _REPEATED:
        found = pattern.search(turn.answer)
        if found and len(found[1]) > 1 and found[1] in turn.question:
            return found.span(1)
    return None


def character_spots(
    turn: Turn, glyphs: Sequence[Glyph], size: tuple[int, int]
) -> list[Spot | None]:
    """For every character of the answer the point of the picture that it is read from."""
    answer = turn.answer
    spots = _box_spots(answer, size)
    for mention in turn.mentions:
        spot = (mention.x * size[0], mention.y * size[1])
        spots[mention.start : mention.end] = [spot] * (mention.end - mention.start)
    if any(spots) or not glyphs:
        return spots
    return _glyph_spots(answer, glyphs) or spots


def _box_spots(answer: str, size: tuple[int, int]) -> list[Spot | None]:
    spots: list[Spot | None] = [None] * len(answer)
    width, height = size
    for boxed in BOXED.finditer(answer):
        start = boxed.start()
        for box in BOX.finditer(boxed.group()):
            x0, y0, x1, y1 = (int(part) for part in box.groups())
            spot = ((x0 + x1) / 1998 * width, (y0 + y1) / 1998 * height)
            end = boxed.start() + box.end()
            spots[start:end] = [spot] * (end - start)
            start = end
    return spots


def _glyph_spots(answer: str, glyphs: Sequence[Glyph]) -> list[Spot | None] | None:
    """None when the answer is neither the picture's text in order nor a part that occurs once."""
    spots: list[Spot | None] = []
    text = "".join(glyph.char for glyph in glyphs)
    position = text.find(answer) if text.count(answer) == 1 else 0
    for char in answer:
        glyph = glyphs[position] if position < len(glyphs) else None
        if glyph is not None and glyph.char == char:
            x0, y0, x1, y1 = glyph.box
            spots.append(((x0 + x1) / 2, (y0 + y1) / 2))
            position += 1
        elif char.isspace():
            spots.append(None)
        else:
            return None
    return spots


def token_place(spot: Spot, size: tuple[int, int], image: PlacedImage) -> tuple[int, int]:
    """The place of the cell at ``spot`` in the image's own token sequence, and the bin in it.

    Both are NOWHERE for what the tower does not see; see glyphs for bins.
    """
    scale, left, top = placement(size, image.columns, image.rows)
    x, y = spot[0] * scale + left, spot[1] * scale + top
    column, row = int(x // TILE), int(y // TILE)
    if not (0 <= column < image.columns and 0 <= row < image.rows):
        return NOWHERE, NOWHERE
    inside_x, inside_y = x - column * TILE, y - row * TILE
    if inside_x >= VISIBLE or inside_y >= VISIBLE:
        return NOWHERE, NOWHERE
    line = row * CELLS + int(inside_y // CELL)
    place = (
        THUMBNAIL_TOKENS
        + line * (CELLS * image.columns + 1)
        + column * CELLS
        + int(inside_x // CELL)
    )
    across = int(inside_x % CELL * BIN_COLUMNS / CELL)
    return place, int(inside_y % CELL * BIN_ROWS / CELL) * BIN_COLUMNS + across
