"""Wordings of an intent in six languages, with the slips of people who type."""

from __future__ import annotations

import functools
import random
import re
from importlib.resources import files

from nano_lab.foreign.questions import wordings as held_out

LANGUAGES = ("en", "de", "fr", "es", "zh", "ko")
# Most people whom the bundled model meets type English.
_SHARES = (0.7, 0.08, 0.07, 0.07, 0.04, 0.04)
_OPENINGS = ("Hi, ", "Hello. ", "Hey, ", "Please, ", "Quick question: ", "So, ", "ok, ", "Sorry, ")
_ENDINGS = (" Thanks.", " Thank you!", ", please", " pls", " thx", "??", " :)")
_TYPO, _LOWER, _BARE, _POLITE = 0.12, 0.25, 0.3, 0.2
_CHOICE = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{\w+\}")


def read_table(name: str) -> list[list[str]]:
    """The rows of a table of this package, without its comments."""
    text = (files(__package__) / name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


@functools.cache
def patterns() -> dict[tuple[str, str], list[str]]:
    """By intent and language."""
    found: dict[tuple[str, str], list[str]] = {}
    for intent, language, pattern in read_table("wordings.tsv"):
        found.setdefault((intent, language), []).append(pattern)
    return found


def random_language(rng: random.Random) -> str:
    """English mostly."""
    return rng.choices(LANGUAGES, _SHARES)[0]


def random_wording(intent: str, language: str, rng: random.Random) -> str:
    """A wording with its slots, never one that the foreign suite holds out."""
    while True:
        wording = expanded(rng.choice(patterns()[intent, language]), rng)
        if plain(wording) not in _held_out():
            return _as_typed(wording, language, rng)


def expanded(pattern: str, rng: random.Random) -> str:
    """``pattern`` with one of every choice."""
    return _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), pattern)


def plain(wording: str) -> str:
    """What two wordings have in common that differ in case and punctuation alone."""
    return " ".join(re.findall(r"[\w{}]+", wording.casefold()))


@functools.cache
def _held_out() -> frozenset[str]:
    return frozenset(plain(wording) for _, _, wording in held_out())


def _as_typed(wording: str, language: str, rng: random.Random) -> str:
    typed = wording
    if rng.random() < _TYPO and language not in {"zh", "ko"}:
        typed = _with_slip(typed, rng)
    if rng.random() < _BARE:
        typed = typed.rstrip("?.!。？ ")
    if language == "en" and rng.random() < _POLITE:
        first = rng.random() < 0.5
        typed = rng.choice(_OPENINGS) + typed if first else typed + rng.choice(_ENDINGS)
    if rng.random() < _LOWER:
        typed = typed.lower()
    # Slips of typing may have made one that is held out.
    return wording if plain(typed) in _held_out() else typed


def _with_slip(text: str, rng: random.Random) -> str:
    """Two letters of a word are swapped, or one is lost or doubled; slots stay as they are."""
    slots = [match.span() for match in _SLOT.finditer(text)]
    inside = {place for start, end in slots for place in range(start - 1, end + 1)}
    places = [
        place
        for place in range(1, len(text) - 1)
        if text[place].isalpha()
        and text[place + 1].isalpha()
        and {place, place + 1}.isdisjoint(inside)
    ]
    if not places:
        return text
    at = rng.choice(places)
    middle = rng.choice((text[at + 1] + text[at], text[at + 1], text[at] * 2 + text[at + 1]))
    return text[:at] + middle + text[at + 2 :]
