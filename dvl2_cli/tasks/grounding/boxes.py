"""Boxes out of the text between ``<|det|>`` and ``<|/det|>``, each judged by itself."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from dvl2_cli.tasks.grounding.coordinates import SCALE
from dvl2_cli.tasks.grounding.tags import Box999

_BRACKETS = re.compile(r"[\[\](){}]+")
_SEPARATORS = re.compile(r"[\s,;]+")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
_LONGEST_QUOTE = 80
_LONGEST_NUMBER = 32


@dataclass(frozen=True, slots=True)
class Rejected:
    """A piece of text that is no box, shortened for display, and why."""

    text: str
    reason: str


def parse_boxes(text: str, *, cut_off: bool = False) -> tuple[list[Box999], list[Rejected]]:
    """Every box in ``text`` with corners in order and inside 0..999, and what is none.

    Accepts missing brackets, floats, swapped corners, and boxes that reach a little out of
    the picture (cut at its edge). Boxes in fractions of the picture, with decimals and none
    over 1, are scaled to 0..999. ``cut_off`` says that the text ended before its closing
    tag, which explains a last box with too few numbers.
    """
    boxes: list[Box999] = []
    rejected: list[Rejected] = []
    scale = SCALE if are_fractions(text) else 1.0
    pieces = [piece for piece in _BRACKETS.split(text) if _SEPARATORS.sub("", piece)]
    if not pieces:
        return boxes, [Rejected(quote(text), "no numbers")]
    for index, piece in enumerate(pieces):
        last = cut_off and index == len(pieces) - 1 and not text.rstrip().endswith("]")
        _parse_piece(piece, last, scale, boxes, rejected)
    return boxes, rejected


def are_fractions(text: str) -> bool:
    """Whether the numbers of ``text`` are fractions of the picture: 0 to 1, with decimals."""
    numbers = _NUMBER.findall(text)
    return any("." in number for number in numbers) and all(0 <= float(n) <= 1 for n in numbers)


def _parse_piece(
    piece: str, last: bool, scale: float, boxes: list[Box999], rejected: list[Rejected]
) -> None:
    words = [word for word in _SEPARATORS.split(piece) if word]
    bad = next((word for word in words if not _is_number(word)), None)
    if bad is not None:
        rejected.append(Rejected(_bracketed(piece), f"{quote(bad, 20)!r} is not a number"))
        return
    numbers = [float(word) * scale for word in words]
    whole = len(numbers) - len(numbers) % 4
    if whole != len(numbers) and not (last and whole):
        reason = f"expected 4 numbers, got {len(numbers)}"
        rejected.append(Rejected(_bracketed(piece), reason + (" (cut off)" if last else "")))
        return
    for start in range(0, whole, 4):
        box = (numbers[start], numbers[start + 1], numbers[start + 2], numbers[start + 3])
        mixed = scale == 1 and are_fractions(" ".join(words[start : start + 4]))
        fitted = "fractions of the picture among boxes of 0..999" if mixed else fit(box)
        if isinstance(fitted, str):
            rejected.append(Rejected(_bracketed(", ".join(words[start : start + 4])), fitted))
        else:
            boxes.append(fitted)
    if whole != len(numbers):
        left = ", ".join(words[whole:])
        reason = f"expected 4 numbers, got {len(numbers) - whole} (cut off)"
        rejected.append(Rejected(_bracketed(left), reason))


def _is_number(word: str) -> bool:
    return len(word) <= _LONGEST_NUMBER and _NUMBER.fullmatch(word) is not None and word.isascii()


def fit(box: Box999) -> Box999 | str:
    """``box`` with its corners in order and cut at 0 and 999, or why it is no box."""
    x1, x2 = sorted((box[0], box[2]))
    y1, y2 = sorted((box[1], box[3]))
    if not all(math.isfinite(value) for value in box):
        return "not a finite number"
    if x1 == x2 or y1 == y2:
        return "the box has no area"
    cut = (max(x1, 0.0), max(y1, 0.0), min(x2, SCALE), min(y2, SCALE))
    inside = max(cut[2] - cut[0], 0.0) * max(cut[3] - cut[1], 0.0)
    if inside < 0.5 * (x2 - x1) * (y2 - y1):
        return "most of the box lies outside 0..999"
    return cut


def quote(text: str, longest: int = _LONGEST_QUOTE) -> str:
    """``text`` on one line, shortened for a message."""
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def _bracketed(piece: str) -> str:
    return f"[{quote(piece)}]"
