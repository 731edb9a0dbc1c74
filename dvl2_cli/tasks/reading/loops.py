"""Repetition loops at the end of an answer."""

from __future__ import annotations

_LONGEST_UNIT = 400
_MIN_CHARACTERS = 60
_MIN_REPEATS = 4


def cut_loop(text: str) -> tuple[str, bool]:
    """``text`` with a repetition at its end reduced to one round, and whether there was one.

    A loop is a unit of up to 400 characters that fills the end of the text at least four
    times and at least 60 characters long, the last round possibly cut off. Rows of
    punctuation ("......", "-----") are typography, not loops.
    """
    stripped = text.rstrip()
    unit = _loop_unit(stripped)
    if unit == 0:
        return text, False
    start = _loop_start(stripped, unit)
    return stripped[: start + unit].rstrip(), True


def _loop_unit(text: str) -> int:
    """Length of the shortest unit that the end of ``text`` repeats, or 0."""
    window = text[-(_LONGEST_UNIT * (_MIN_REPEATS + 1)) :]
    # The shortest period of the reversed window's prefixes, by the border array of KMP.
    backwards = window[::-1]
    border = [0] * len(backwards)
    matched = 0
    best = 0
    for index in range(1, len(backwards)):
        while matched and backwards[index] != backwards[matched]:
            matched = border[matched - 1]
        if backwards[index] == backwards[matched]:
            matched += 1
        border[index] = matched
        length = index + 1
        period = length - matched
        enough = length >= max(_MIN_REPEATS * period, _MIN_CHARACTERS)
        if enough and period <= _LONGEST_UNIT and _says_something(backwards[:period]):
            best = period
            break
    return best


def _says_something(unit: str) -> bool:
    return any(char.isalnum() for char in unit)


def _loop_start(text: str, unit: int) -> int:
    position = len(text) - unit
    while position > 0 and text[position - 1] == text[position - 1 + unit]:
        position -= 1
    return position
