"""Lines of print cut in two at a space: half as wide, a page can be shown twice as large.

Bands make print larger only as far as the page's width allows. Of a wide page with small print,
the first halves of all lines are laid under each other, and the second halves likewise.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from dvl2_cli.planning.print_size import ink_of, runs_of

# A line is cut at the space nearest the middle, and within so much of the width from it.
_REACH = 0.3
# One that ends before this part of the width, from the left, is not cut.
_SHORT = 0.62
# Rows of a line are at most so many times the distance between lines: paragraphs close up.
_MAX_PITCH = 1.5
_MARGIN, _GAP = 12, 8
# Paragraphs have few spaces as wide as those that justified or last lines leave.
_USUAL = 97

Range = tuple[int, int]
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HalfLines:
    """The halves of a page's lines; ``cut`` says for each line whether it goes on in ``right``."""

    left: Image.Image
    right: Image.Image
    cut: tuple[bool, ...]

    def joined(self, left: str, right: str) -> str | None:
        """The text of whole lines, of what was read of both halves; None where that has more or
        fewer lines than there are.
        """
        firsts, seconds = _filled(left), _filled(right)
        if (len(firsts), len(seconds)) != (len(self.cut), sum(self.cut)):
            return None
        rest = iter(seconds)
        lines = zip(firsts, self.cut, strict=True)
        return "\n".join(f"{first} {next(rest)}" if cut else first for first, cut in lines)


def half_lines(page: Image.Image, lines: Sequence[Range]) -> HalfLines | None:
    """The halves of ``lines``; None where no line has a space to be cut at.

    Args:
        page: upright RGB picture with print in one column.
        lines: rows of every line, see ``text_lines``; at least two.
    """
    ink = ink_of(page)
    inked = [np.asarray(ink[start:end].any(axis=0)) for start, end in lines]
    spans = [_span(line) for line in inked]
    first, end = min(start for start, _ in spans), max(end for _, end in spans)
    cuts = [
        _cut(spaces, last, first, end)
        for spaces, (_, last) in zip(_spaces(inked), spans, strict=True)
    ]
    if not any(cuts):
        return None
    lefts, rights = [], []
    for (top, bottom), (_, last), cut in zip(_rows(lines, page.height), spans, cuts, strict=True):
        lefts.append((first, top, cut or last, bottom))
        if cut:
            rights.append((cut, top, last, bottom))
    paper = _paper(page)
    left, right = (_stacked(page, boxes, paper) for boxes in (lefts, rights))
    return HalfLines(left, right, tuple(map(bool, cuts)))


def _span(ink: Bits) -> Range:
    """The columns from the first with ink to the last."""
    columns = np.flatnonzero(ink)
    return int(columns[0]), int(columns[-1]) + 1


def _filled(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _spaces(inked: Sequence[Bits]) -> list[list[Range]]:
    """The spaces between words of every line: those of its gaps that are wide, of all lines' gaps
    taken together.
    """
    gaps = [_gaps(ink) for ink in inked]
    least = _between([end - start for own in gaps for start, end in own])
    return [[gap for gap in own if gap[1] - gap[0] >= least] for own in gaps]


def _gaps(ink: Bits) -> list[Range]:
    """Columns (start, end) without ink between the first and the last that has some."""
    starts, ends = runs_of(ink)
    return list(zip(ends[:-1].tolist(), starts[1:].tolist(), strict=True))


def _between(widths: Sequence[int]) -> float:
    """The width that parts narrow gaps, between letters, from wide ones best (Otsu's method);
    infinite where all are alike.
    """
    values = np.asarray(widths, dtype=float)
    if len(values) == 0:
        return float("inf")
    values = np.minimum(values, np.percentile(values, _USUAL))
    found, best = float("inf"), 0.0
    for width in np.unique(values)[1:]:
        narrow, wide = values[values < width], values[values >= width]
        apart = len(narrow) * len(wide) * float(wide.mean() - narrow.mean()) ** 2
        if apart > best:
            found, best = float(width), apart
    return found


def _cut(spaces: Sequence[Range], last: int, first: int, end: int) -> int | None:
    """The column in which a line that ends at ``last`` is cut, or None; print goes from ``first``
    to ``end``.
    """
    middle, width = (first + end) / 2, end - first
    if last < first + _SHORT * width:
        return None
    columns = [(start + stop) // 2 for start, stop in spaces]
    nearest = min(columns, key=lambda column: abs(column - middle), default=None)
    if nearest is None or abs(nearest - middle) > _REACH * width:
        return None
    return nearest


def _rows(lines: Sequence[Range], height: int) -> list[Range]:
    """Rows of every line with the paper above and below it."""
    middles = [(above[1] + below[0]) // 2 for above, below in itertools.pairwise(lines)]
    tops = [max(0, lines[0][0] - _GAP), *middles]
    bottoms = [*middles, min(height, lines[-1][1] + _GAP)]
    pitch = float(np.median(np.diff([start for start, _ in lines])))
    most = round(_MAX_PITCH * pitch)
    return [(top, min(bottom, top + most)) for top, bottom in zip(tops, bottoms, strict=True)]


def _paper(page: Image.Image) -> tuple[int, ...]:
    """The colour that most of ``page`` has."""
    pixels = np.asarray(page.convert("RGB")).reshape(-1, 3)
    return tuple(int(part) for part in np.median(pixels, axis=0))


def _stacked(
    page: Image.Image, boxes: Sequence[tuple[int, int, int, int]], paper: tuple[int, ...]
) -> Image.Image:
    """The parts of ``page`` under each other, on ``paper``."""
    width = max(right - left for left, _, right, _ in boxes) + 2 * _MARGIN
    height = sum(bottom - top for _, top, _, bottom in boxes) + 2 * _GAP
    stacked = Image.new("RGB", (width, height), paper)
    below = _GAP
    for box in boxes:
        stacked.paste(page.crop(box), (_MARGIN, below))
        below += box[3] - box[1]
    return stacked
