"""How right a reading or an answer is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

Box = tuple[float, float, float, float]
# Kinds whose parts stand side by side and may be read row by row as well as block by block.
EITHER_ORDER = frozenset(
    [
        "letter",
        "form",
        "receipt",
        "invoice",
        "table",
        "menu",
        "page",
        "slide",
        "chart",
        "scan",
        "photo",
    ]
)
_REFUSALS = re.compile(
    r"\b(cannot|can't|can ?not|not able|unable|don't know|do not know|not something i)\b"
    r"|kann (das|es|ich|nano)?.{0,20}nicht|ne (peux|sais|peut)|no (puedo|sé|puede)"
    r"|不能|无法|못|할 수 없",
    re.IGNORECASE,
)


def normalised(text: str) -> str:
    """``text`` with every run of white space as one space."""
    return " ".join(text.split())


def character_error_rate(truth: str, read: str) -> float:
    """Edit distance over the length of ``truth``, both whitespace-normalised; 0 is perfect."""
    wanted = normalised(truth)
    return Levenshtein.distance(wanted, normalised(read)) / max(1, len(wanted))


@dataclass(frozen=True, slots=True)
class Digits:
    """How many digits are printed, and how many of them were read in their place."""

    printed: int
    right: int


def digits(truth: str, read: str) -> Digits:
    """Digits of ``truth`` that the cheapest alignment leaves as they are."""
    wanted, got = normalised(truth), normalised(read)
    right = sum(
        sum(char.isdigit() for char in wanted[block.a : block.a + block.size])
        for block in Levenshtein.opcodes(wanted, got).as_matching_blocks()
    )
    return Digits(sum(char.isdigit() for char in wanted), right)


def plain(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(char for char in text.casefold() if char.isalnum())


def is_value(wanted: str, answer: str | None) -> bool:
    """Whether ``answer`` is the printed value, letter for letter but for spaces and case."""
    return answer is not None and "".join(answer.split()).casefold().strip(".:") == "".join(
        wanted.split()
    ).casefold().strip(".:")


def contains_value(wanted: str, answer: str) -> bool:
    """Whether a short answer names the value: at most four times as long."""
    return plain(wanted) in plain(answer) and len(plain(answer)) <= 4 * len(plain(wanted)) + 40


def is_refusal(answer: str) -> bool:
    """Whether the answer says that it cannot do what was asked."""
    return _REFUSALS.search(answer) is not None


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
