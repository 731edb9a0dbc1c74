"""Which known objects a caption names, how many of each, and the F1 of them."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence

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


def objects_f1(names: Sequence[str], caption: str) -> float:
    """F1 of the objects that a caption names, each as often as it counts them, 0..1."""
    wanted, found = Counter(names), names_in(caption)
    shared = sum((wanted & found).values())
    total = sum(wanted.values()) + sum(found.values())
    return 2 * shared / total if total else 1.0
