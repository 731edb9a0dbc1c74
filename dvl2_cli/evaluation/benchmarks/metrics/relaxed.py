"""Relaxed accuracy of ChartQA (Masry et al., 2022; Methani et al., 2020)."""

from __future__ import annotations

TOLERANCE = 0.05  # relative


def is_close_enough(reference: str, answer: str) -> bool:
    """Whether ``answer`` is within 5 % of a number, or else the same text in any case.

    "%" divides by 100. Nothing is relative to 0: as a reference it is compared as text.
    """
    wanted, found = _number(reference), _number(answer)
    if wanted and found is not None:
        return abs(found - wanted) / abs(wanted) <= TOLERANCE
    return answer.lower() == reference.lower()


def _number(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None
