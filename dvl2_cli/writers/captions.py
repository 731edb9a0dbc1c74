"""Caption rows on stdout."""

from __future__ import annotations

from dvl2_cli.results import CaptionResult
from dvl2_cli.writers.caption_tables import COLUMNS, cells
from dvl2_cli.writers.cells import csv_line


def csv_head() -> str:
    """The names of the columns."""
    return csv_line(COLUMNS)


def csv_row(result: CaptionResult) -> str:
    """One row."""
    return csv_line(cells(result))
