"""Tables out of read pages: blocks with their boxes as TSV, the pages' own tables as CSV."""

from __future__ import annotations

from dvl2_cli.results.ocr import OcrResult
from dvl2_cli.writers.cells import csv_line

COLUMNS = (
    "page", "block", "type", "left", "top", "width", "height", "box_source", "score", "text",
)  # fmt: skip


class BlocksTsvWriter:
    """A row for each block; the numbers of a box are empty where nothing located it."""

    suffix = ".tsv"
    needs_boxes = False

    def head(self, title: str) -> str:
        """The names of the columns."""
        return "\t".join(COLUMNS) + "\n"

    def page(self, result: OcrResult, index: int) -> str:
        """The page's blocks."""
        number = result.source.page if result.source and result.source.page else index + 1
        rows = []
        for place, block in enumerate(result.blocks):
            box = ("", "", "", "")
            if block.box is not None:
                x1, y1, x2, y2 = block.box
                box = (f"{x1:g}", f"{y1:g}", f"{x2 - x1:g}", f"{y2 - y1:g}")
            score = "" if block.score is None else f"{block.score:g}"
            text = " ".join(block.text.split())
            row = (str(number), str(place), block.type, *box, block.box_source or "", score, text)
            rows.append("\t".join(row) + "\n")
        return "".join(rows)

    def foot(self) -> str:
        """Nothing."""
        return ""


class TablesCsvWriter:
    """The tables of all pages; an empty line between two tables."""

    suffix = ".csv"
    needs_boxes = False

    def __init__(self) -> None:
        self._written = False

    def head(self, title: str) -> str:
        """Nothing."""
        self._written = False
        return ""

    def page(self, result: OcrResult, index: int) -> str:
        """The page's tables."""
        lines = []
        for table in result.tables:
            lines += ["\n"] if self._written else []
            lines += [csv_line(row) for row in table.rows]
            self._written = True
        return "".join(lines)

    def foot(self) -> str:
        """Nothing."""
        return ""
