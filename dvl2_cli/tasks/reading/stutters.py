"""Phrases that a text repeats at once, as a reader does who has lost the line."""

from __future__ import annotations

import re

# So many characters repeated at once are no chance, if there are so many different letters.
_STUTTER = re.compile(r"(.{10,120}?)\s{0,3}\1", re.DOTALL)
_LETTERS = 5


def stutters(text: str) -> int:
    """How many phrases of ten and more characters follow upon themselves; rules and rows of
    zeros do not count.
    """
    return sum(1 for found in _STUTTER.finditer(text) if _says_something(found[1]))


def _says_something(phrase: str) -> bool:
    return len({char for char in phrase.casefold() if char.isalpha()}) >= _LETTERS
