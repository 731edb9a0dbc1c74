"""Cells of CSV files that spreadsheets show and do not run."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

# What spreadsheets take for a formula; a signed number is none.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.,\s]*%?\Z)")


def no_formulas(row: Iterable[Any]) -> list[Any]:
    """``row`` with an apostrophe before each text that a spreadsheet would run."""
    return [f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell for cell in row]


def csv_line(row: Iterable[Any]) -> str:
    """``row`` as a line of a CSV file; cells with line ends of any kind are quoted."""
    buffer = io.StringIO()
    # Python quotes a carriage return only where it is of the line's own end.
    csv.writer(buffer, lineterminator="\r\n").writerow(no_formulas(row))
    return buffer.getvalue().removesuffix("\r\n") + "\n"
