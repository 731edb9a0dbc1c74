"""OCRBench's metric: whether an answer contains a reference."""

from __future__ import annotations

from collections.abc import Sequence


def contains_one(references: Sequence[str], answer: str, *, formula: bool) -> bool:
    """Whether a reference stands in ``answer``.

    Newlines count as spaces. Case does not count; in a ``formula`` it does, and spaces do not.
    """
    found = _plain(answer, formula=formula)
    return any(_plain(reference, formula=formula) in found for reference in references)


def _plain(text: str, *, formula: bool) -> str:
    text = text.strip().replace("\n", " ")
    return text.replace(" ", "") if formula else text.lower()
