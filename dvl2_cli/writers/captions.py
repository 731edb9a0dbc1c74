"""Caption rows on stdout."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from dvl2_cli.results import CaptionResult
from dvl2_cli.writers.caption_tables import COLUMNS, cells
from dvl2_cli.writers.cells import no_formulas


def csv_head() -> str:
    """The names of the columns."""
    return _row(COLUMNS)


def csv_row(result: CaptionResult) -> str:
    """One row."""
    return _row(cells(result))


def _row(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(no_formulas(values))
    return buffer.getvalue()
