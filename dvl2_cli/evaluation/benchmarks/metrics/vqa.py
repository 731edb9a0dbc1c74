"""VQA accuracy of TextVQA: agreement with ten people, after EvalAI's normalisation."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ARTICLES = frozenset({"a", "an", "the"})
_DIGITS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
# Words that are mended where one of their apostrophes is missing.
_CONTRACTIONS = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've "
    "hasn't haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't "
    "mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't "
    "she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd "
    "someone'd've someone'll someone's something'd something'd've something'll that's there'd "
    "there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've "
    "we've weren't what'll what're what's what've when's where'd where's where've who'd "
    "who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all "
    "y'all'd've y'all'll you'd you'd've you'll you're you've"
)
_PUNCTUATION = ';/[]"{}()=+\\_-><@`!'
# EvalAI passes a flag where the number of replacements belongs.
_MAX_FULL_STOPS = int(re.UNICODE)
_FULL_STOP = re.compile(r"\.(?!\d)")


def _mended() -> dict[str, str]:
    table = {"somebody'd": "somebodyd"}
    for word in _CONTRACTIONS.split():
        for place, letter in enumerate(word):
            if letter == "'":
                table[word[:place] + word[place + 1 :]] = word
    return table


_MENDED = _mended()


def agreement(references: Sequence[str], answer: str) -> float:
    """Mean over the references of min(1, equal ones among the others / 3), 0..1.

    Raises:
        ValueError: there are no references.
    """
    if not references:
        raise ValueError("there are no references")
    found = normalised_answer(answer)
    equal = [normalised_answer(reference) == found for reference in references]
    matches = sum(equal)
    return sum(min(1.0, (matches - same) / 3) for same in equal) / len(equal)


def normalised_answer(text: str) -> str:
    """``text`` as EvalAI's server for TextVQA compares it.

    In lower case, without articles, commas, question marks and other punctuation, number words
    to ten as digits, contractions with their apostrophes.
    """
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = text.replace("\n", " ").replace("\t", " ").strip()
    words = [_DIGITS.get(word, word) for word in _without_punctuation(text).split()]
    return " ".join(_MENDED.get(word, word) for word in words if word not in _ARTICLES)


def _without_punctuation(text: str) -> str:
    """A mark beside a space vanishes; one inside a word becomes a space."""
    cleaned = text
    for mark in _PUNCTUATION:
        beside_space = f"{mark} " in text or f" {mark}" in text
        cleaned = cleaned.replace(mark, "" if beside_space else " ")
    return _FULL_STOP.sub("", cleaned, count=_MAX_FULL_STOPS)
