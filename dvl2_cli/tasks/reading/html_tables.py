"""Tables that a model writes as HTML, which has what Markdown lacks: cells over several columns."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

from dvl2_cli.results.ocr import Table, TableCell

_TABLE = re.compile(r"<table\b[^>]*>.*?</table\s*>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^ {0,3}```", re.MULTILINE)
# A span is a model's word: it may not ask for more of the table than this.
_MAX_SPAN, _MAX_CELLS = 100, 20_000


def with_tables(markdown: str) -> Iterator[tuple[str, Table | None]]:
    """``markdown`` in parts: HTML tables with what they hold, and what stands between them.

    A table in a code block, or one without a cell, is text like any other.
    """
    start = 0
    for match in _TABLE.finditer(markdown):
        in_code = len(_FENCE.findall(markdown, 0, match.start())) % 2 == 1
        table = None if in_code else html_table(match.group())
        if table is None:
            continue
        yield markdown[start : match.start()], None
        yield match.group(), table
        start = match.end()
    yield markdown[start:], None


def html_table(source: str) -> Table | None:
    """The table of HTML ``source``, without anything but its cells; None where it has none."""
    reader = _CellReader()
    reader.feed(source)
    reader.close()
    cells = _placed(reader.rows)
    if not cells:
        return None
    return Table(cells_html(cells), _grid(cells), cells=tuple(cells))


def cells_html(cells: Sequence[TableCell]) -> str:
    """An HTML table of ``cells``, which are in order of rows."""
    rows: dict[int, str] = dict.fromkeys(range(max(cell.row for cell in cells) + 1), "")
    for cell in cells:
        tag = "th" if cell.is_head else "td"
        spans = f' rowspan="{cell.row_span}"' if cell.row_span > 1 else ""
        spans += f' colspan="{cell.column_span}"' if cell.column_span > 1 else ""
        rows[cell.row] += f"<{tag}{spans}>{html.escape(cell.text, quote=False)}</{tag}>"
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows.values())}</table>"


def _grid(cells: Sequence[TableCell]) -> tuple[tuple[str, ...], ...]:
    """Rows of one width; a cell's text stands at its first place, and its others are empty."""
    height = max(cell.row + cell.row_span for cell in cells)
    width = max(cell.column + cell.column_span for cell in cells)
    grid = [[""] * width for _ in range(height)]
    for cell in cells:
        grid[cell.row][cell.column] = cell.text
    return tuple(tuple(row) for row in grid)


def _placed(rows: Sequence[Sequence[tuple[str, bool, int, int]]]) -> list[TableCell]:
    """Cells at the first columns that cells of the rows above leave free, as browsers do.

    Spans end with the table's last row.
    """
    taken: set[tuple[int, int]] = set()
    cells: list[TableCell] = []
    for number, row in enumerate(rows):
        column = 0
        for text, is_head, row_span, column_span in row:
            while (number, column) in taken:
                column += 1
            down = min(row_span, len(rows) - number)
            if len(taken) + down * column_span > _MAX_CELLS:
                return []
            taken |= {(number + y, column + x) for y in range(down) for x in range(column_span)}
            cells.append(TableCell(number, column, text, down, column_span, is_head))
            column += column_span
    return cells


class _CellReader(HTMLParser):
    """Rows of (text, whether it is a head, rows, columns)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[tuple[str, bool, int, int]]] = []
        self._cell: tuple[bool, int, int] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self._end()
            self.rows.append([])
        elif tag in ("td", "th"):
            self._end()
            given = dict(attrs)
            spans = _span(given.get("rowspan")), _span(given.get("colspan"))
            self._cell = (tag == "th", *spans)
        elif tag == "br":
            self._text += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._end()

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._text += data

    def _end(self) -> None:
        if self._cell is not None:
            if not self.rows:
                self.rows.append([])
            self.rows[-1].append((" ".join(self._text.split()), *self._cell))
        self._cell, self._text = None, ""


def _span(value: str | None) -> int:
    return min(max(int(value), 1), _MAX_SPAN) if value and value.strip().isdecimal() else 1
