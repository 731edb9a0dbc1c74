"""The checks of ``dvl2 doctor`` as a table a group; the words alone say how each ended."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from dvl2_cli.ui.control import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from dvl2_cli.doctor.check import Check

_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "failed": ("FAILED", "bold red")}
_NAME_WIDTH = 15


def render_checks(checks: Iterable[Check], console: Console) -> None:
    """Write the checks as they come, a heading before every group."""
    from rich.table import Table
    from rich.text import Text

    for group, members in groupby(checks, key=lambda check: check.group):
        console.print(Text(f"\n{group}", "bold"))
        for check in members:
            # A table of its own for each, so that it is seen before the next one is made.
            table = Table.grid(padding=(0, 2, 0, 0))
            table.add_column(width=len("warning"))
            table.add_column(width=_NAME_WIDTH, overflow="fold")
            table.add_column(overflow="fold")
            mark, style = _MARKS[check.status]
            table.add_row(Text(mark, style), Text(printable(check.name)), _description(check))
            console.print(table)


def _description(check: Check) -> Text:
    from rich.text import Text

    text = Text(printable(check.found))
    if check.reason:
        text.append(f" ({printable(check.reason)})", "dim")
    if check.remedy:
        text.append(f"\n→ {printable(check.remedy)}")
    return text
