"""A picture on a terminal: two pixels a cell, as a half block in two colours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.segment import Segment

_HALF_BLOCK = "\N{UPPER HALF BLOCK}"
_WIDEST = 96


class TerminalPicture:
    """A Rich renderable of ``image``, which keeps its shape and fits the terminal.

    Works in every terminal with colours; the graphics protocols of some would need an
    answer from the terminal, which is not always one that gives it.
    """

    def __init__(self, image: Image, *, most_rows: int = 24) -> None:
        self._image = image
        self._most_rows = most_rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, rows = _cells(
            self._image.size,
            min(options.max_width, _WIDEST),
            min(max(options.size.height - 4, 4), self._most_rows),
        )
        yield from _segments(self._image, columns, rows)


def _cells(size: tuple[int, int], columns: int, rows: int) -> tuple[int, int]:
    """Columns and rows that show ``size`` pixels in shape: a cell is as high as two pixels."""
    width, height = size
    scale = min(columns / width, 2 * rows / height, 1.0)
    return max(round(width * scale), 1), max(round(height * scale / 2), 1)


def _segments(image: Image, columns: int, rows: int) -> Iterator[Segment]:
    from PIL.Image import Resampling
    from rich.color import Color
    from rich.segment import Segment
    from rich.style import Style

    small = image.convert("RGB").resize((columns, 2 * rows), Resampling.BOX)
    data = small.tobytes()
    for row in range(rows):
        for column in range(columns):
            upper = 3 * (2 * row * columns + column)
            lower = upper + 3 * columns
            style = Style(
                color=Color.from_rgb(*data[upper : upper + 3]),
                bgcolor=Color.from_rgb(*data[lower : lower + 3]),
            )
            yield Segment(_HALF_BLOCK, style)
        yield Segment.line()
