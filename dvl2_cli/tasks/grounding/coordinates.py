"""Between 0..999, as the model counts, and pixels of the upright original picture."""

from __future__ import annotations

from dvl2_cli.tasks.grounding.tags import Box999

SCALE = 999.0
Pixels = tuple[float, float, float, float]


def to_pixels(box: Box999, width: int, height: int) -> Pixels:
    """Xyxy in 0..999 to xyxy in pixels, rounded to hundredths.

    Args:
        box: corners, 0..999.
        width: of the upright picture, in pixels.
        height: of the upright picture, in pixels.
    """
    x1, y1, x2, y2 = box
    return (
        round(x1 / SCALE * width, 2),
        round(y1 / SCALE * height, 2),
        round(x2 / SCALE * width, 2),
        round(y2 / SCALE * height, 2),
    )


def from_pixels(box: Pixels, width: int, height: int) -> Box999:
    """Xyxy in pixels to whole numbers 0..999; the inverse of `to_pixels` up to rounding."""
    x1, y1, x2, y2 = box
    return (
        _to_999(x1, width),
        _to_999(y1, height),
        _to_999(x2, width),
        _to_999(y2, height),
    )


def _to_999(value: float, size: int) -> float:
    return float(min(max(round(value / size * SCALE), 0), int(SCALE)))
