"""A line of print: where it stands, and what was read there."""

from __future__ import annotations

from dataclasses import dataclass

from dvl2_cli.results.envelope import Box

# Of a line's height: what hangs below the letters' feet.
_DESCENT = 0.22


@dataclass(frozen=True, slots=True)
class LineBox:
    """A piece of a line without a wide gap, in whole pixels of the page; ends exclusive.

    ``print_height`` is the height of a typical glyph, ``baseline`` the row that letters stand on,
    ``cap_height`` how high capitals are above it, all in pixels; 0: as the box tells.
    """

    left: int
    top: int
    right: int
    bottom: int
    print_height: float
    baseline: float = 0.0
    cap_height: float = 0.0

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
    def feet(self) -> float:
        """The row that letters stand on."""
        return self.baseline or self.bottom - _DESCENT * self.height

    @property
    def capitals(self) -> float:
        """How high capitals are."""
        return self.cap_height or (1 - _DESCENT) * self.height

    @property
    def box(self) -> Box:
        """Left, top, right, bottom."""
        return float(self.left), float(self.top), float(self.right), float(self.bottom)
