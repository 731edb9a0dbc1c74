"""Names of months in dates, also where a letter was misread."""

from __future__ import annotations

import re

from rapidfuzz.distance import Levenshtein

_NAMES = """
January February March April May June July August September October November December
Januar Februar März Mai Juni Juli Oktober Dezember
janvier février mars avril mai juin juillet août septembre octobre novembre décembre
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Okt Nov Dec Dez
"""
MONTHS = tuple(_NAMES.split())
_KNOWN = {month.casefold() for month in MONTHS}
_WORD = r"(?P<word>[^\W\d_]{4,10})"
_DATES = (
    re.compile(rf"(?<=\d ){_WORD}(?=,? \d{{4}}\b)"),
    re.compile(rf"(?<=\d\. ){_WORD}(?=,? \d{{4}}\b)"),
    re.compile(rf"\b{_WORD}(?= \d{{1,2}},? \d{{4}}\b)"),
)
# Letters of a month that may be wrong: one in four, two at most.
_SHARE, _MOST = 4, 2


def with_months(text: str) -> str:
    """``text`` with the month for a word in a month's place that is nearest to it alone."""
    for pattern in _DATES:
        text = pattern.sub(lambda found: _nearest(found["word"]), text)
    return text


def _nearest(word: str) -> str:
    if word.casefold() in _KNOWN:
        return word
    ways = sorted(
        (Levenshtein.distance(word.casefold(), month.casefold()), month) for month in MONTHS
    )
    (distance, month), (second, _) = ways[:2]
    near = distance <= min(_MOST, len(word) // _SHARE) and distance < second
    return month if near else word
