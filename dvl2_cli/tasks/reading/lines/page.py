"""Put a page together: texts of strips to rows, rows to paragraphs and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from dvl2_cli.results.envelope import Box
from dvl2_cli.tasks.reading.lines.line import LineBox
from dvl2_cli.tasks.reading.lines.order import LineRow, RowBlock
from dvl2_cli.tasks.reading.lines.read import StripText

# A capital I looks like other strokes; before an account number it is no other.
_MISREAD_IBAN = re.compile(r"(?<!\w)[1l|\[]BAN(?=:? [A-Z]{2}\d{2})")
# Of the usual distance between rows: a larger one ends a paragraph.
_PARAGRAPH = 1.45
# Of the usual print height: a heading's.
_HEADING = 1.4


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row's text, box in pixels, and how sure the model was (0 to 1; None: not known).

    ``before`` is what stands between the text and the one before. ``cells`` are the texts of the
    row's pieces. ``lowest`` is the probability of its least sure token.
    """

    text: str
    before: str
    cells: tuple[str, ...]
    row: LineRow
    score: float | None
    lowest: float | None

    @property
    def box(self) -> Box:
        """Around all pieces."""
        pieces = self.row
        return (
            float(min(piece.left for piece in pieces)),
            float(min(piece.top for piece in pieces)),
            float(max(piece.right for piece in pieces)),
            float(max(piece.bottom for piece in pieces)),
        )


def read_row(row: LineRow, before: str, texts: Sequence[StripText]) -> ReadRow:
    """A row from the texts of its strips, in order."""
    text = ""
    for read in texts:
        glue = "" if read.strip.glued or not text or not read.text else " "
        text += glue + read.text
    text = _MISREAD_IBAN.sub("IBAN", text)
    sures = [read.sure for read in texts if read.sure is not None and read.text]
    score = min((sure.mean_probability for sure in sures), default=None)
    lowest = min((sure.lowest_probability for sure in sures), default=None)
    return ReadRow(text, before, _cells(text, row), row, score, lowest)


def _cells(text: str, row: LineRow) -> tuple[str, ...]:
    """``text`` divided at spaces so that its parts are as long as the pieces are wide."""
    words = text.split()
    if len(row) == 1 or len(words) <= 1:
        return (text,)
    if len(words) < len(row):
        return tuple(words)
    total = sum(piece.width / piece.print_height for piece in row)
    letters = sum(len(word) for word in words)
    cells: list[str] = []
    for index, piece in enumerate(row):
        left = len(row) - index - 1
        wanted = letters * piece.width / piece.print_height / total
        count, length = 1, float(len(words[0]))
        while len(words) - count > left and left:
            longer = length + len(words[count])
            if abs(longer - wanted) > abs(length - wanted):
                break
            count, length = count + 1, longer
        count = count if left else len(words)
        cells.append(" ".join(words[:count]))
        words = words[count:]
    return tuple(cells)


def separators(blocks: Sequence[RowBlock]) -> list[str]:
    """What stands before each row's text: a line break, or an empty line before a paragraph."""
    found: list[str] = []
    for block in blocks:
        tops = [min(piece.top for piece in row) for row in block.rows]
        gaps = [low - high for high, low in pairwise(tops)]
        usual = median(gaps) if gaps else 0.0
        found.append("\n\n")
        found += ["\n\n" if gap > _PARAGRAPH * usual else "\n" for gap in gaps]
    return found


def as_markdown(rows: Sequence[ReadRow]) -> str:
    """Rows with the same cells as tables, larger print as headings, the rest as paragraphs."""
    rows = [row for row in rows if row.text]
    usual = median([row.row[0].print_height for row in rows]) if rows else 0.0
    text = ""
    for columns, stretch in _stretches(rows):
        if columns is not None:
            text += f"\n\n{_table(stretch, columns)}\n\n"
            continue
        for row in stretch:
            heading = row.row[0].print_height >= _HEADING * usual
            text += f"\n\n## {row.text}\n\n" if heading else row.before + row.text
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


Columns = list[tuple[int, int]]


def _stretches(block: Sequence[ReadRow]) -> list[tuple[Columns | None, list[ReadRow]]]:
    """``block`` as stretches of rows that are tables (with their columns), and others."""
    found: list[tuple[Columns | None, list[ReadRow]]] = []
    rows = list(block)
    while rows:
        count, columns = _table_at(rows)
        if columns is not None:
            found.append((columns, rows[:count]))
            rows = rows[count:]
        elif found and found[-1][0] is None:
            found[-1][1].append(rows.pop(0))
        else:
            found.append((None, [rows.pop(0)]))
    return found


def _table_at(rows: Sequence[ReadRow]) -> tuple[int, Columns | None]:
    """How many rows from the first on make a table, and its columns; None where there is none."""
    first = len(rows[0].cells)
    if first < 2 or first != len(rows[0].row):
        return 0, None
    count, columns = 0, list[tuple[int, int]]()
    for last in range(1, len(rows) + 1):
        row = rows[last - 1]
        if len(row.cells) != len(row.row):
            break
        wider = _columns_of([piece for row in rows[:last] for piece in row.row])
        if len(wider) < max(2, first) or len(row.cells) < 2:
            break
        count, columns = last, wider
    return (count, columns) if count >= 2 else (0, None)


def _columns_of(pieces: Sequence[LineBox]) -> Columns:
    """Left and right of the columns that white gutters leave."""
    columns: Columns = []
    for piece in sorted(pieces, key=lambda piece: piece.left):
        left, right = piece.left, piece.right
        if columns and left <= columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _table(rows: Sequence[ReadRow], columns: Columns) -> str:
    lines = [_table_line(row, columns) for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(columns), *lines[1:]])


def _table_line(row: ReadRow, columns: Columns) -> str:
    cells = [""] * len(columns)
    for text, piece in zip(row.cells, row.row, strict=True):
        index = next(i for i, (left, right) in enumerate(columns) if left <= piece.left < right)
        cells[index] = f"{cells[index]} {text}".strip().replace("|", "\\|")
    return "| " + " | ".join(cells) + " |"
