"""A document under construction: lines, label and value pairs, rows and rules, top down."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nano_lab.rendering.canvas import Canvas, Colour
from nano_lab.rendering.face import Face, face
from nano_lab.rendering.fonts import Genre, installed_cuts
from nano_lab.rendering.paper import blank, random_inks
from nano_lab.rendering.sample import Split

_SMALLEST = 10
_SMALLEST_FITTED = 8  # only for a value that would not fit otherwise


@dataclass(frozen=True, slots=True)
class Cell:
    """Text between two x positions, set "left", "right" or "centre"."""

    text: str
    left: float
    right: float
    align: str = "left"


class Sheet:
    """A canvas with a cursor. ``size`` is the body text in pixels; ``y`` the next line's top."""

    def __init__(
        self,
        rng: random.Random,
        split: Split,
        canvas_size: tuple[int, int],
        lines: float,
        genres: tuple[Genre, ...] = ("sans", "serif", "mono"),
    ) -> None:
        self.rng, self.split = rng, split
        self.paper, self.ink = random_inks(rng, plain=0.6)
        self.canvas: Canvas = blank(*canvas_size, self.paper)
        self.width, self.height = canvas_size
        self.margin = rng.randint(10, max(12, self.width // 20))
        self.regular, self.heavy = _pair_of_cuts(rng, split, genres)
        # As large as the number of lines allows, within what such documents use.
        largest = min(30, int((self.height - 2 * self.margin) / (lines * 1.32)))
        narrow = int(self.width / 19)
        self.size = max(_SMALLEST, min(largest, narrow, rng.randint(13, 30)))
        self.leading = rng.uniform(1.18, 1.32)
        self.y = float(self.margin)
        self.accent: Colour = rng.choice(
            (
                (30, 70, 160),
                (160, 30, 40),
                (20, 110, 70),
                (90, 40, 130),
                (190, 90, 10),
                (50, 50, 50),
            )
        )

    @property
    def left(self) -> int:
        """The left edge of the text."""
        return self.margin

    @property
    def right(self) -> int:
        """The right edge of the text."""
        return self.width - self.margin

    @property
    def lines_left(self) -> int:
        """How many more body lines fit."""
        return int((self.height - self.margin - self.y) / (self.size * self.leading))

    def body(self, scale: float = 1.0, *, bold: bool = False) -> Face:
        """The body face, scaled."""
        return face(self.heavy if bold else self.regular, max(_SMALLEST, round(self.size * scale)))

    def line(
        self, text: str, align: str = "left", scale: float = 1.0, *, bold: bool = False,
        fill: Colour | None = None,
    ) -> None:  # fmt: skip
        """One line over the whole width."""
        self.row([Cell(text, self.left, self.right, align)], scale, bold=bold, fill=fill)

    def row(
        self, cells: Sequence[Cell], scale: float = 1.0, *, bold: bool = False,
        fill: Colour | None = None,
    ) -> None:  # fmt: skip
        """Cells side by side on one baseline; they make one line of the text."""
        used = self.body(scale, bold=bold)
        baseline = round(self.y) + used.ascent
        first = True
        for cell in cells:
            fitted = self._fitting(cell, used)
            slack = cell.right - cell.left - fitted.width(fitted.printable(cell.text))
            shift = {"left": 0.0, "right": slack, "centre": slack / 2}[cell.align]
            start = round(cell.left + max(0.0, shift))
            box = self.canvas.write(
                start, baseline, cell.text, fitted, fill or self.ink, joined=not first
            )
            first = first and box[2] == box[0]
        self.y += used.size * self.leading

    def _fitting(self, cell: Cell, wanted: Face) -> Face:
        # A value is never cut: too wide a text is set smaller.
        fitted = wanted
        while fitted.size > _SMALLEST_FITTED and fitted.width(cell.text) > cell.right - cell.left:
            fitted = face(fitted.path, fitted.size - 1)
        return fitted

    def pair(self, label: str, value: str, left: float, right: float, style: str) -> None:
        """A label and its value: "colon" after it, "apart" at the other edge, or "below"."""
        if style == "below":
            self.row([Cell(label, left, right)], 0.8)
            self.row([Cell(value, left, right)], bold=True)
        elif style == "apart":
            middle = left + (right - left) * 0.5
            self.row([Cell(label, left, middle - 4), Cell(value, middle, right, "right")])
        else:
            self.row([Cell(f"{label}: {value}", left, right)])

    def gap(self, lines: float = 0.5) -> None:
        """Empty space, in body lines."""
        self.y += self.size * lines

    def rule(self, left: float | None = None, right: float | None = None) -> None:
        """A thin horizontal line."""
        y = round(self.y + self.size * 0.2)
        left, right = left or self.left, right or self.right
        self.canvas.draw.line((left, y, right, y), fill=self.ink, width=1)
        self.y += self.size * 0.5

    def band(self, top: float, bottom: float, colour: Colour) -> None:
        """A filled band over the whole width, to write on."""
        self.canvas.draw.rectangle((0, round(top), self.width, round(bottom)), fill=colour)


def _pair_of_cuts(rng: random.Random, split: Split, genres: tuple[Genre, ...]) -> tuple[Path, Path]:
    """A family's upright cut and its bold one (the same where there is none)."""
    cuts = rng.choice(installed_cuts(split, genres))
    bold = [cut for cut in cuts if "Bold" in cut.stem and "It" not in cut.stem]
    return cuts[0], bold[0] if bold else cuts[0]
