"""Cells of CSV files that spreadsheets show and do not run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# What spreadsheets take for a formula; a signed number is none.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.,\s]*%?\Z)")


def no_formulas(row: Iterable[Any]) -> list[Any]:
    """``row`` with an apostrophe before each text that a spreadsheet would run."""
    return [f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell for cell in row]
