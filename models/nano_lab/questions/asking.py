"""Turns about pictures, asked in other words; and what nano cannot do."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nano_lab.questions.wordings import random_language, random_wording, read_table
from nano_lab.rendering.catalogue import plural
from nano_lab.rendering.sample import Turn

REFUSALS = {
    "translate": "I cannot translate; I can read the text as it is.",
    "summarise": "I cannot summarise; I can read the text as it is.",
    "reason": "I cannot answer that; I can read text, and name, count and find objects.",
}
# Transcripts take more tokens than all other answers together.
_MAX_TRANSCRIPT = 220
_PLURAL_ENDINGS = {"de": ("", "e", "n", "en", "er"), "fr": ("s", "x"), "es": ("s", "es")}
_SLOTS = ("name", "a", "plural", "place", "field")
_PREPOSITION = re.compile(r"^(in|at|on) the ")
_ARTICLE = re.compile(r"^(the|an?|some) ")


@dataclass(frozen=True, slots=True)
class _Canonical:
    """How the renderer asks: the task, its question, what the slot holds and the intent."""

    task: str
    question: re.Pattern[str]
    slot: str
    intent: str


_KNOWN = (
    _Canonical(
        "count", re.compile(r"How many (.+) are (?:there|in this image)\?"), "plural", "count"
    ),
    _Canonical("exists", re.compile(r"Is there (.+)\?"), "a", "exists"),
    _Canonical("colour", re.compile(r"What colou?r is (.+)\?"), "name", "colour"),
    _Canonical("where", re.compile(r"Where is (.+)\?"), "name", "where"),
    _Canonical("what", re.compile(r"What is (.+)\?"), "place", "what"),
    _Canonical("field", re.compile(r"What is the (.+)\?"), "field", "field"),
    _Canonical("caption", re.compile(r"(.+)"), "", "caption"),
    _Canonical("ocr", re.compile(r"(.+)"), "", "ocr"),
)


def reworded(turns: Sequence[Turn], rng: random.Random, refusals: int) -> tuple[Turn, ...]:
    """The turns in other words, without long transcripts, and so many that are refused.

    Turns that no intent fits, as those that ask for boxes, stay as they are: programs ask them.
    """
    asked = [
        _reworded(turn, rng)
        for turn in turns
        if turn.task != "ocr" or len(turn.answer) <= _MAX_TRANSCRIPT
    ]
    return (*asked, *(_refused(rng) for _ in range(refusals)))


def _refused(rng: random.Random) -> Turn:
    intent = rng.choice(sorted(REFUSALS))
    wording = random_wording(intent, random_language(rng), rng)
    return Turn(wording, REFUSALS[intent], "refusal")


def _reworded(turn: Turn, rng: random.Random) -> Turn:
    for known in _KNOWN:
        match = known.question.fullmatch(turn.question) if known.task == turn.task else None
        if match:
            language = random_language(rng)
            value = _said(match[1], known.slot, language, rng)
            if value is None:
                language, value = "en", match[1]
            wording = random_wording(known.intent, language, rng)
            return replace(turn, question=_filled(wording, value, known.slot, match[1]))
    return turn


def _filled(wording: str, value: str, slot: str, english: str) -> str:
    """``wording`` with ``value`` in whichever of its slots fits."""
    values = dict.fromkeys(_SLOTS, value)
    if slot == "a" and value == english:
        bare = _ARTICLE.sub("", english)
        values["plural"] = plural(bare)
    return wording.format(**values)


def _said(english: str, slot: str, language: str, rng: random.Random) -> str | None:
    """What stands in a slot, in ``language``; None where nobody wrote it down."""
    if language == "en" or slot in {"", "field"}:
        return english
    if slot == "place":
        words = _places().get(_PREPOSITION.sub("", english), {}).get(language, "")
        return rng.choice(words.split("|")) if words else None
    known = _plurals() if slot == "plural" else _names()
    name = known.get(_ARTICLE.sub("", english), {}).get(language)
    return name and _with_article(name, slot, language, rng)


def _with_article(name: str, slot: str, language: str, rng: random.Random) -> str:
    """As German, French and Spanish have it: any gender, as nobody wrote that down either."""
    articles = {
        "de": ("der die das", "ein eine einen"),
        "fr": ("le la", "un une"),
        "es": ("el la", "un una"),
    }
    if language not in articles or rng.random() < 0.2:
        return name
    lower = name if language == "de" else name.lower()
    if slot == "plural":
        return lower + rng.choice(_PLURAL_ENDINGS[language])
    definite, indefinite = articles[language]
    return f"{rng.choice((definite if slot == 'name' else indefinite).split())} {lower}"


@functools.cache
def _names() -> dict[str, dict[str, str]]:
    return {row[0]: dict(_by_language(row)) for row in read_table("names.tsv")}


@functools.cache
def _plurals() -> dict[str, dict[str, str]]:
    return {plural(name): words for name, words in _names().items()}


@functools.cache
def _places() -> dict[str, dict[str, str]]:
    return {row[0]: dict(_by_language(row)) for row in read_table("places.tsv")}


def _by_language(row: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from zip(("de", "fr", "es", "zh", "ko"), row[1:], strict=True)
