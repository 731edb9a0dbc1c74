"""Strips on canvases, as many as a request shows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from dvl2_cli.tasks.reading.lines.strips import Strip

TILE = 384
# A line that is read once more is shown so many times as large.
_SMALLER = 0.85
# Of the print that suits whole pictures: a strip's height, margins included; and of that, the
# distance from strip to strip.
_STRIP, _PITCH = 1.6, 1.28


@dataclass(frozen=True, slots=True)
class Layout:
    """How strips are shown: line height and pitch in pixels, and tiles across and down."""

    height: int = 42
    pitch: int = 54
    columns: int = 1
    rows: int = 1

    @classmethod
    def for_print(cls, height: float) -> Layout:
        """Strips for a model that reads print of ``height`` pixels best in whole pictures."""
        strip = round(_STRIP * height)
        return cls(strip, round(_PITCH * strip))

    @property
    def size(self) -> tuple[int, int]:
        """Pixels of a canvas."""
        return self.columns * TILE, self.rows * TILE

    @property
    def max_width(self) -> int:
        """Pixels of a strip."""
        return self.columns * TILE - 24

    @property
    def lines(self) -> int:
        """Strips of a canvas."""
        return self.rows * TILE // self.pitch


@dataclass(frozen=True, slots=True)
class Canvas:
    """What one request shows: strips from top to bottom."""

    image: Image.Image
    strips: tuple[Strip, ...]


def pack(strips: Sequence[Strip], layout: Layout) -> list[Canvas]:
    """Strips in order on as few canvases as hold them."""
    count = layout.lines
    groups = [tuple(strips[first : first + count]) for first in range(0, len(strips), count)]
    return [Canvas(drawn(group, layout), group) for group in groups]


def alone(strip: Strip, layout: Layout) -> Canvas:
    """``strip`` by itself and a little smaller: another look, not the same again."""
    width, height = (max(1, round(_SMALLER * side)) for side in strip.image.size)
    image = strip.image.resize((width, height), Image.Resampling.LANCZOS)
    smaller = replace(strip, image=image)
    return Canvas(drawn((smaller,), replace(layout, rows=1)), (strip,))


def drawn(strips: Sequence[Strip], layout: Layout) -> Image.Image:
    """A canvas with ``strips`` below each other."""
    canvas = Image.new("RGB", layout.size, "white")
    for index, strip in enumerate(strips):
        top = index * layout.pitch + (layout.pitch - strip.image.height) // 2
        canvas.paste(strip.image.convert("RGB"), (12, max(0, top)))
    return canvas
