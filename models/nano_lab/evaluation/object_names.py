"""Which known objects a caption names, and how many of each."""

from __future__ import annotations

import functools
import re
from collections import Counter

from nano_lab.rendering.catalogue import COLOURS, EMOJI, SHAPES, plural

_COUNTS = {
    word: number
    for number, word in enumerate(("two", "three", "four", "five", "six", "seven", "eight"), 2)
} | {str(number): number for number in range(2, 10)}


@functools.cache
def _pattern() -> re.Pattern[str]:
    forms = sorted(_singular_of(), key=len, reverse=True)
    adjectives = "|".join([*COLOURS, "small", "medium", "large"])
    counts = "|".join(_COUNTS)
    names = "|".join(re.escape(form) for form in forms)
    return re.compile(rf"\b(?:({counts}) )?(?:(?:{adjectives}) )*({names})\b")


@functools.cache
def _singular_of() -> dict[str, str]:
    names = [emoji.name for emoji in EMOJI] + list(SHAPES)
    return {form: name for name in names for form in (plural(name), name)}


def names_in(caption: str) -> Counter[str]:
    """Singular names with their counts: "two red cars and a dog" is car 2, dog 1."""
    found: Counter[str] = Counter()
    for match in _pattern().finditer(caption.lower()):
        count, name = match.groups()
        found[_singular_of()[name]] += _COUNTS.get(count, 1) if count else 1
    return found
