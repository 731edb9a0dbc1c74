"""Scores of single answers; edit distances come from jiwer and rapidfuzz."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from dvl2_cli.evaluation.item import Box999
from dvl2_cli.tasks.grounding.overlap import iou

ANLS_THRESHOLD = 0.5
_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
)  # fmt: skip
_SPELLINGS = {"gray": "grey", "center": "centre", "middle": "centre", "none": "0", "no": "no"}
_ARTICLES = frozenset({"a", "an", "the", "some"})
_PUNCTUATION = re.compile(r"[^\w\s%$€£.,/-]")


@dataclass(frozen=True, slots=True)
class EditCounts:
    """Edits and reference length, in characters and in words."""

    errors: int
    length: int
    word_errors: int
    words: int


def edit_counts(reference: str, answer: str) -> EditCounts:
    """Character and word edits between two texts in which any run of white space is one space.

    Raises:
        ValueError: the reference has no characters.
    """
    import jiwer

    reference, answer = " ".join(reference.split()), " ".join(answer.split())
    if not reference:
        raise ValueError("the reference text is empty")
    chars = jiwer.process_characters(reference, answer)
    words = jiwer.process_words(reference, answer)
    return EditCounts(
        chars.substitutions + chars.deletions + chars.insertions,
        chars.hits + chars.substitutions + chars.deletions,
        words.substitutions + words.deletions + words.insertions,
        words.hits + words.substitutions + words.deletions,
    )


def anls(reference: str, answer: str) -> float:
    """Normalised Levenshtein similarity, 0 where below 0.5 (Biten et al., 2019), 0..1."""
    left, right = " ".join(reference.lower().split()), " ".join(answer.lower().split())
    similarity = Levenshtein.normalized_similarity(left, right)
    return similarity if similarity >= ANLS_THRESHOLD else 0.0


def hit(wanted: Box999, found: Sequence[Box999]) -> float:
    """1 if the first box found overlaps ``wanted`` with IoU of at least 0.5, as RefCOCO counts."""
    return float(bool(found) and iou(wanted, found[0]) >= 0.5)


def boxes_f1(wanted: Sequence[Box999], found: Sequence[Box999]) -> float:
    """F1 of boxes matched one to one at IoU 0.5, best overlaps first, 0..1."""
    pairs = sorted(
        ((iou(w, f), i, j) for i, w in enumerate(wanted) for j, f in enumerate(found)),
        reverse=True,
    )
    used_wanted: set[int] = set()
    used_found: set[int] = set()
    for overlap, i, j in pairs:
        if overlap >= 0.5 and i not in used_wanted and j not in used_found:
            used_wanted.add(i)
            used_found.add(j)
    total = len(wanted) + len(found)
    return 2 * len(used_wanted) / total if total else 1.0


def normalised(text: str) -> str:
    """Lower case, without articles, punctuation at word ends and spelling variants."""
    words = _PUNCTUATION.sub(" ", text.lower()).split()
    kept = []
    for raw in words:
        word = raw.strip(".,/-")
        if not word or word in _ARTICLES:
            continue
        if word in _NUMBER_WORDS:
            word = str(_NUMBER_WORDS.index(word))
        kept.append(_SPELLINGS.get(word, word))
    return " ".join(kept)


def exact(reference: str, answer: str) -> float:
    """1 if the answers are the same after normalisation."""
    return float(normalised(reference) == normalised(answer))
