"""A line of print: where it stands, and what was read there."""

from __future__ import annotations

from dataclasses import dataclass

from dvl2_cli.results.envelope import Box


@dataclass(frozen=True, slots=True)
class LineBox:
    """A piece of a line without a wide gap, in whole pixels of the page; ends exclusive.

    ``print_height`` is the height of a typical glyph, in pixels.
    """

    left: int
    top: int
    right: int
    bottom: int
    print_height: float

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Row of the middle."""
        return (self.top + self.bottom) / 2

    @property
    def box(self) -> Box:
        """Left, top, right, bottom."""
        return float(self.left), float(self.top), float(self.right), float(self.bottom)
