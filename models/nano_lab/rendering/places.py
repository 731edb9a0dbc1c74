"""Places of a picture in words: a grid of three by three."""

from __future__ import annotations

from nano_lab.rendering.sample import Box

_ROWS, _COLUMNS = ("top", "", "bottom"), ("left", "", "right")
_PREPOSITIONS = {"top": "at the", "bottom": "at the", "left": "on the", "right": "on the"}
_CLEAR = 0.03  # centres closer than this to a dividing line have no clear place


def place_of(box: Box, width: int, height: int) -> str | None:
    """One of "top left", ..., "centre"; None where the middle is too near a dividing line."""
    x, y = (box[0] + box[2]) / 2 / width, (box[1] + box[3]) / 2 / height
    if any(abs(at - line) < _CLEAR for at in (x, y) for line in (1 / 3, 2 / 3)):
        return None
    words = f"{_ROWS[int(y * 3)]} {_COLUMNS[int(x * 3)]}".strip()
    return words or "centre"


def in_place(place: str) -> str:
    """The place with its preposition: "in the top left", "on the right"."""
    return f"{_PREPOSITIONS.get(place, 'in the')} {place}"
