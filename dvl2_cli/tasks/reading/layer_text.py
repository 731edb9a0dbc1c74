"""The text of a page from its text layer: words to pieces of lines, pieces to rows, in order."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from dvl2_cli.inputs.text_layer import TextLayer, Word
from dvl2_cli.results.ocr import Block
from dvl2_cli.tasks.reading.lines.line import LineBox
from dvl2_cli.tasks.reading.lines.order import LineRow, in_reading_order
from dvl2_cli.tasks.reading.lines.page import ReadRow, as_markdown, separators

# Of the line's height: a wider gap parts pieces, which may be columns or cells.
_MAX_GAP = 1.15
# Percentile of the heights of a piece's characters that is its print height, as for lines that
# are found in pixels.
_TYPICAL = 70
_RIGHT_TO_LEFT = {"R", "AL"}


class LayerText:
    """The rows of a page in reading order; turned text comes last."""

    def __init__(self, layer: TextLayer) -> None:
        self._texts: dict[LineBox, str] = {}
        self._turned: list[tuple[str, LineBox]] = []
        for line in layer.lines:
            for piece in _pieces(line):
                self._take(piece)
        blocks = in_reading_order(list(self._texts))
        befores = separators(blocks)
        rows = [row for block in blocks for row in block.rows]
        self.rows = [self._row(row, before) for row, before in zip(rows, befores, strict=True)]

    def _take(self, piece: Sequence[Word]) -> None:
        text = " ".join(word.text for word in piece)
        box = _line_box(piece)
        if piece[0].characters[0].turned:
            self._turned.append((text, box))
        else:
            self._texts[box] = f"{self._texts[box]} {text}" if box in self._texts else text

    def _row(self, row: LineRow, before: str) -> ReadRow:
        cells = [self._texts[piece] for piece in row]
        words = reversed(cells) if _runs_leftwards("".join(cells)) else cells
        return ReadRow(" ".join(words), before, tuple(cells), row, None, None)

    @property
    def text(self) -> str:
        """The rows as lines, with an empty line between paragraphs."""
        upright = "".join(row.before + row.text for row in self.rows).strip("\n")
        return "\n\n".join(part for part in (upright, *self._turned_texts()) if part)

    @property
    def markdown(self) -> str:
        """Rows of cells as tables and larger print as headings."""
        return "\n\n".join(part for part in (as_markdown(self.rows), *self._turned_texts()) if part)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """A block for every row, with its place in the file."""
        upright = [Block("line", row.text, row.box, "layer") for row in self.rows]
        turned = [Block("line", text, box.box, "layer") for text, box in self._turned]
        return (*upright, *turned)

    def _turned_texts(self) -> Iterator[str]:
        return (text for text, _ in self._turned)


def _pieces(line: Sequence[Word]) -> Iterator[list[Word]]:
    """``line`` parted at wide gaps, and where the file goes back to the left."""
    piece: list[Word] = []
    for word in line:
        if piece and not _follows(piece[-1], word):
            yield piece
            piece = []
        piece.append(word)
    if piece:
        yield piece


def _follows(one: Word, other: Word) -> bool:
    if one.characters[0].turned or other.characters[0].turned:
        return one.characters[0].turned and other.characters[0].turned
    height = max(word.characters[0].bottom - word.characters[0].top for word in (one, other))
    if _runs_leftwards(one.text + other.text):
        one, other = other, one
    gap = other.box[0] - one.box[2]
    return -height <= gap <= _MAX_GAP * height


def _line_box(piece: Sequence[Word]) -> LineBox:
    characters = [character for word in piece for character in word.characters]
    heights = [character.box[3] - character.box[1] for character in characters]
    return LineBox(
        round(min(character.box[0] for character in characters)),
        round(min(character.box[1] for character in characters)),
        round(max(character.box[2] for character in characters)),
        round(max(character.box[3] for character in characters)),
        max(1.0, float(np.percentile(heights, _TYPICAL))),
    )


def _runs_leftwards(text: str) -> bool:
    """Whether more of the letters belong to scripts that run from right to left."""
    kinds = [unicodedata.bidirectional(char) for char in text]
    leftwards = sum(kind in _RIGHT_TO_LEFT for kind in kinds)
    return leftwards > sum(kind == "L" for kind in kinds)
