"""Names, colours, places and numbers in the languages of the questions."""

from __future__ import annotations

import re
from importlib.resources import files

LANGUAGES = ("en", "de", "fr", "es", "zh", "ko")


def _rows(name: str) -> list[list[str]]:
    text = (files(__package__) / name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def _names() -> dict[str, dict[str, tuple[str, str, str]]]:
    found: dict[str, dict[str, tuple[str, str, str]]] = {}
    for name, language, definite, indefinite, plural in _rows("names.tsv"):
        found.setdefault(name, {})[language] = (definite, indefinite, plural)
    return found


# By English name and language, as in "the dog", "a dog", "dogs".
NAMES = _names()
# What questions for something absent may name.
ABSENT = tuple(NAMES)
COLOURS: dict[str, dict[str, str]] = {
    "en": {},
    "de": {"red": "rot", "green": "grün", "yellow": "gelb", "orange": "orange", "blue": "blau"},
    "fr": {"red": "rouge", "green": "vert", "yellow": "jaune", "orange": "orange", "blue": "bleu"},
    "es": {"red": "rojo", "green": "verde", "yellow": "amarillo", "orange": "naranja",
           "blue": "azul"},
    "zh": {"red": "红", "green": "绿", "yellow": "黄", "orange": "橙", "blue": "蓝"},
    "ko": {"red": "빨간", "green": "초록", "yellow": "노란", "orange": "주황", "blue": "파란"},
}  # fmt: skip
PLACES = {
    "top": "top/upper/oben/haut/arriba/superior/上/위",
    "bottom": "bottom/lower/unten/bas/abajo/inferior/下/아래",
    "left": "left/links/gauche/izquierd/左/왼",
    "right": "right/recht/droit/derech/右/오른",
    "centre": "centre/center/middle/mitte/milieu/centro/medio/中/가운데",
}
# By language and place, as in "in the top left".
PLACE_PHRASES = {
    language: {row[0]: row[column] for row in _rows("places.tsv")}
    for column, language in enumerate(LANGUAGES, 1)
}
YES = frozenset(["yes", "yeah", "ja", "oui", "sí", "si", "是", "有", "네", "예"])
NO = frozenset(["no", "nein", "non", "没有", "否", "아니요", "아니오"])
_NUMBERS = {
    word: number
    for number, words in enumerate(
        (
            "no none zero keine null aucun zéro cero ninguno 零 없",
            "one a an ein eine un une uno una 一 하나",
            "two zwei deux dos 两 二 둘",
            "three drei trois tres 三 셋",
            "four vier quatre cuatro 四 넷",
            "five fünf cinq cinco 五 다섯",
        )
    )
    for word in words.split()
}


def number_in(answer: str) -> int | None:
    """The first number of an answer, in digits or in words."""
    found = re.search(r"\d+", answer)
    if found:
        return int(found[0])
    for word in re.findall(r"\w+", answer.casefold()):
        if word in _NUMBERS:
            return _NUMBERS[word]
    return None
