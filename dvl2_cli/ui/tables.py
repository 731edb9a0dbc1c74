"""Tables of names and figures that stay readable on a terminal of any width."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# What rich's simple box adds: to every column, and to the whole.
_PER_COLUMN, _EDGES = 3, 1
# Between a fact's name and its value.
_GAP = 2


def print_table(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    styles: Sequence[str] = (),
) -> None:
    """Print rows as a table, or one fact a line where the terminal is too narrow for it.

    No cell is ever cut: a name or a path that cannot be read cannot be used.

    Args:
        console: where to.
        headings: of the columns.
        rows: cells, already printable, as many as ``headings``.
        right: numbers of the columns that are set to the right.
        styles: Rich's style of every row; none where there are fewer.
    """
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    if sum(widths) + _PER_COLUMN * len(widths) + _EDGES > console.width:
        _print_records(console, headings, rows)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=box.SIMPLE)
    for number in right:
        table.columns[number].justify = "right"
    for index, row in enumerate(rows):
        style = styles[index] if index < len(styles) else ""
        table.add_row(*(Text(cell, style) for cell in row))
    console.print(table)


def print_facts(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values below each other, the values in a column where there is room."""
    width = max(len(name) for name, _ in facts)
    aligned = width + _GAP < console.width // 2
    for name, value in facts:
        label = name.ljust(width + _GAP) if aligned else f"{name}: "
        console.print(f"  {label}{value}", soft_wrap=True)


def _print_records(
    console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    # soft_wrap: the terminal itself breaks a long path, so that it is copied whole.
    for index, row in enumerate(rows):
        if index:
            console.print()
        for heading, cell in zip(headings, row, strict=True):
            label = f"{heading}: " if heading else ""
            if cell:
                console.print(f"{label}{cell}", soft_wrap=True)
