"""Joining the texts of overlapping bands without losing or repeating a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.fuzz import partial_ratio, ratio

# How alike (0..100) two readings of one line are at least.
_SAME_LINE = 75.0
_SAME_BLOCK = 85.0
_MAX_LINES = 80


@dataclass(frozen=True, slots=True)
class _Seam:
    """The last ``cut_above + count`` lines above meet the first ``cut_below + count`` below;
    ``cut_above`` and ``cut_below`` are lines that the cut left incomplete.
    """

    count: int
    cut_above: int
    cut_below: int
    likeness: float


def merge_bands(texts: Sequence[str], shares: Sequence[float]) -> str:
    """One text from those of the bands, top to bottom.

    Args:
        texts: what was read in each band.
        shares: for each band, the part (0..1) of its height that it shares with the one
            before, 0 where they only meet.
    """
    merged: list[str] = []
    for text, share in zip(texts, shares, strict=True):
        lines = text.strip("\n").splitlines() if text.strip() else []
        merged = join_lines(merged, lines, share) if merged and share else merged + lines
    return "\n".join(merged)


def join_lines(above: list[str], below: list[str], share: float) -> list[str]:
    """``above`` and ``below`` with the lines that both have taken once."""
    seam = _find_seam(above, below, share * _filled(below))
    if seam is None:
        return above + below
    kept_above = above[: len(above) - seam.cut_above]
    overlap = kept_above[len(kept_above) - seam.count :]
    kept_above = kept_above[: len(kept_above) - seam.count]
    again = below[seam.cut_below : seam.cut_below + seam.count]
    joined = [_fuller(one, other) for one, other in zip(overlap, again, strict=True)]
    return kept_above + joined + below[seam.cut_below + seam.count :]


def _filled(lines: list[str]) -> int:
    return sum(1 for line in lines if line.strip())


def _find_seam(above: list[str], below: list[str], expected: float) -> _Seam | None:
    """The alignment whose number of shared lines is nearest to what the geometry says."""
    most = min(len(above), len(below), _MAX_LINES, int(2 * expected) + 3)
    seams = [
        seam
        for cut_above in (0, 1)
        for cut_below in (0, 1)
        for count in range(1, most + 1)
        if (seam := _seam(above, below, count, cut_above, cut_below)) is not None
    ]
    if not seams:
        return None
    # Two alignments only compete where lines repeat; then the geometry decides.
    return min(
        seams,
        key=lambda seam: (
            abs(seam.count - expected) + 2 * (seam.cut_above + seam.cut_below),
            -seam.likeness,
        ),
    )


def _seam(
    above: list[str], below: list[str], count: int, cut_above: int, cut_below: int
) -> _Seam | None:
    if count + cut_above > len(above) or count + cut_below > len(below):
        return None
    upper = above[len(above) - cut_above - count : len(above) - cut_above]
    lower = below[cut_below : cut_below + count]
    scores = [_likeness(one, other) for one, other in zip(upper, lower, strict=True)]
    if min(scores) < _SAME_LINE or sum(scores) / count < _SAME_BLOCK:
        return None
    if not any(line.strip() for line in upper):
        return None
    if cut_above and not _is_cut(above[-1], below[cut_below + count : cut_below + count + 1]):
        return None
    if cut_below and not _is_cut(below[0], above[-cut_above - count - 1 :][:1]):
        return None
    return _Seam(count, cut_above, cut_below, sum(scores) / count)


def _likeness(one: str, other: str) -> float:
    return 100.0 if one.strip() == other.strip() else ratio(one.strip(), other.strip())


def _is_cut(piece: str, whole: list[str]) -> bool:
    """Whether ``piece`` can be an incomplete reading of the line ``whole``."""
    if not piece.strip():
        return True
    return bool(whole) and partial_ratio(piece.strip(), whole[0].strip()) >= 50.0


def _fuller(one: str, other: str) -> str:
    """The upper of two readings of a line, unless it is cut short against the lower."""
    return other if len(other.strip()) > 1.15 * len(one.strip()) else one
