"""A picture on a terminal: its own graphics where it has any, else two pixels a cell."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dvl2_cli.ui.boxes import LabelledBox, draw_boxes, outline_boxes

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.segment import Segment

_HALF_BLOCK = "\N{UPPER HALF BLOCK}"
_WIDEST = 96
_GRAPHIC_TERMS = ("xterm-kitty", "xterm-ghostty", "foot", "mlterm", "contour")
_GRAPHIC_PROGRAMS = ("WezTerm", "iTerm.app", "ghostty")
_MULTIPLEXERS = ("TMUX", "STY", "ZELLIJ")


class TerminalPicture:
    """A Rich renderable of ``image``, which keeps its shape and fits the terminal.

    Half blocks in two colours work in every terminal with colours. The graphics protocols
    of kitty and sixel have to be asked for, and a terminal that gives no answer swallows
    what is typed meanwhile: so only terminals that are known to answer are asked.
    """

    def __init__(
        self, image: Image, boxes: Sequence[LabelledBox] = (), *, most_rows: int = 24
    ) -> None:
        self._image = image
        self._boxes = boxes
        self._most_rows = most_rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, rows = _cells(
            self._image.size,
            min(options.max_width, _WIDEST),
            min(max(options.size.height - 4, 4), self._most_rows),
        )
        if has_graphics(os.environ):
            # It reports on stderr what the terminal did not answer, and goes on.
            logging.getLogger("textual_image").addHandler(logging.NullHandler())
            from textual_image.renderable import Image as Graphic

            image = draw_boxes(self._image, self._boxes).image if self._boxes else self._image
            yield Graphic(image, width=columns, height=rows)
        else:
            yield from _segments(self._shrunk(columns, 2 * rows))

    def _shrunk(self, width: int, height: int) -> Image:
        from PIL.Image import Resampling

        small = self._image.convert("RGB").resize((width, height), Resampling.BOX)
        # Drawn before, lines and labels would blur into the picture.
        scale = (width / self._image.width, height / self._image.height)
        outline_boxes(small, self._boxes, scale)
        return small


def has_graphics(environment: Mapping[str, str]) -> bool:
    """Whether these variables name a terminal that is known to show pictures."""
    if any(environment.get(name) for name in _MULTIPLEXERS):
        return False  # which pass no graphics on
    return (
        environment.get("TERM", "").startswith(_GRAPHIC_TERMS)
        or environment.get("TERM_PROGRAM") in _GRAPHIC_PROGRAMS
        or bool(environment.get("KONSOLE_VERSION"))
    )


def _cells(size: tuple[int, int], columns: int, rows: int) -> tuple[int, int]:
    """Columns and rows that show ``size`` pixels in shape: a cell is as high as two pixels."""
    width, height = size
    scale = min(columns / width, 2 * rows / height, 1.0)
    return max(round(width * scale), 1), max(round(height * scale / 2), 1)


def _segments(small: Image) -> Iterator[Segment]:
    from rich.color import Color
    from rich.segment import Segment
    from rich.style import Style

    columns, data = small.width, small.tobytes()
    for row in range(small.height // 2):
        for column in range(columns):
            upper = 3 * (2 * row * columns + column)
            lower = upper + 3 * columns
            style = Style(
                color=Color.from_rgb(*data[upper : upper + 3]),
                bgcolor=Color.from_rgb(*data[lower : lower + 3]),
            )
            yield Segment(_HALF_BLOCK, style)
        yield Segment.line()
