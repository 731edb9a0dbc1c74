"""ANLS of DocVQA and InfoVQA (Biten et al., 2019), as lmms-eval computes it."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

MIN_SIMILARITY = 0.5


def best_anls(references: Sequence[str], answer: str) -> float:
    """The best similarity of ``answer`` to a reference, 0..1; below 0.5 it is 0.

    Edits are counted in lower case with white space squeezed, and divided by the longer of the
    two texts *as they came*. VLMEvalKit divides by the squeezed length instead.

    Raises:
        ValueError: there are no references.
    """
    best = max(_similarity(reference, answer) for reference in references)
    return best if best >= MIN_SIMILARITY else 0.0


def _similarity(reference: str, answer: str) -> float:
    length = max(len(reference), len(answer))
    if length == 0:
        return 1.0
    return 1.0 - Levenshtein.distance(_squeezed(reference), _squeezed(answer)) / length


def _squeezed(text: str) -> str:
    return " ".join(text.lower().split())
