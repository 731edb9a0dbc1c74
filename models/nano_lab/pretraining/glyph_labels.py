"""What each visual token should know about print: which glyphs lie in its 28 px cell.

A cell is cut into bins of 4 by 14 px; the label of a bin is the character whose ink has its
centre there. Bins say more than a bag of characters: they keep the reading order.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dvl2_cli.finetuning.layout import CELLS
from nano_lab.rendering.sample import Glyph

TILE = 384
CELL = 28
# Of a thumbnail: its cells, the ends of its lines, and the separator behind it.
THUMBNAIL_TOKENS = CELLS * (CELLS + 1) + 1
BIN_COLUMNS, BIN_ROWS = 7, 2
BINS = BIN_COLUMNS * BIN_ROWS
# The tower drops the pixels that fill no whole patch.
VISIBLE = 378

# Class 0 is a bin without a glyph, class 1 a character that is not listed.
CHARACTERS = (
    string.ascii_letters
    + string.digits
    + string.punctuation
    + " "
    + "€£¥°±×§©®–—‘’“”•…½éèêëàâäåæçñöøôóüúûùíîïßÄÖÜÉÅØ"
)
BLANK, OTHER = 0, 1
CLASSES = len(CHARACTERS) + 2
_CLASS_OF = {char: index + 2 for index, char in enumerate(CHARACTERS)}

Labels = npt.NDArray[np.int16]


def placement(size: tuple[int, int], columns: int, rows: int) -> tuple[float, float, float]:
    """How a picture of ``size`` lies on its canvas of tiles: (scale, x offset, y offset)."""
    width, height = size
    scale = min(columns * TILE / width, rows * TILE / height)
    return (
        scale,
        (columns * TILE - width * scale) / 2,
        (rows * TILE - height * scale) / 2,
    )


def glyph_labels(glyphs: Sequence[Glyph], size: tuple[int, int], columns: int, rows: int) -> Labels:
    """Labels of all local tiles, row by row: int16 [rows * columns, 196, 14]."""
    labels = np.zeros((rows * columns, CELLS * CELLS, BINS), np.int16)
    if not glyphs:
        return labels
    scale, left, top = placement(size, columns, rows)
    boxes = np.array([glyph.box for glyph in glyphs]) * scale
    x = (boxes[:, 0] + boxes[:, 2]) / 2 + left
    y = (boxes[:, 1] + boxes[:, 3]) / 2 + top
    classes = np.array([_CLASS_OF.get(glyph.char, OTHER) for glyph in glyphs], np.int16)
    tile = (y // TILE).astype(int) * columns + (x // TILE).astype(int)
    x, y, inside = x % TILE, y % TILE, (x >= 0) & (y >= 0)
    inside &= (tile >= 0) & (tile < rows * columns) & (x < VISIBLE) & (y < VISIBLE)
    cell = (y // CELL).astype(int) * CELLS + (x // CELL).astype(int)
    inside_x = x % CELL * BIN_COLUMNS / CELL
    row = (y % CELL // (CELL // BIN_ROWS)).astype(int)
    for index in np.flatnonzero(inside):
        _place(labels[tile[index], cell[index]], int(row[index]), inside_x[index], classes[index])
    return labels


def _place(bins: Labels, row: int, x: float, label: np.int16) -> None:
    """Put ``label`` into its bin, or next to it when that is taken; give up after that."""
    column = int(x)
    side = 1 if x - column >= 0.5 else -1
    for spot in (column, column + side, column - side):
        index = row * BIN_COLUMNS + spot
        if 0 <= spot < BIN_COLUMNS and bins[index] == BLANK:
            bins[index] = label
            return
