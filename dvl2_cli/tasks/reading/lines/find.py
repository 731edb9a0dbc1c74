"""Find lines of print on plain ground: outlines to glyphs, glyphs to lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from dvl2_cli.tasks.reading.lines.components import (
    Components,
    Ints,
    Runs,
    components_of,
    labelled_runs,
    merged_labels,
)
from dvl2_cli.tasks.reading.lines.letters import baseline_of, cap_height_of
from dvl2_cli.tasks.reading.lines.line import LineBox
from dvl2_cli.tasks.reading.lines.marks import marks_of

# Wider pages are searched at a smaller scale, longer ones part by part.
_MAX_WIDTH, _MAX_ROWS = 2600, 4000
# Pixels: lower is dirt or punctuation, higher is a picture.
_MIN_GLYPH, _MAX_GLYPH = 4, 190
# Of the higher of two neighbours: how wide a gap between letters or words may be.
_MAX_GAP = 1.15
# Of the lower of two neighbours: how many rows they share at least, and how much higher one is.
_MIN_SHARED, _MAX_RATIO = 0.6, 3.2
# Of a line's height: how far punctuation may stand from its letters, across and along.
_MAX_GAP_ACROSS, _MAX_GAP_ALONG = 0.3, 0.7
# Of a line's height: a dot or an accent is at most so high.
_SMALL = 0.5
# A frame's first and last rows hold an unbroken edge over this share of its width.
_FRAME_EDGE = 0.6
# A rectangle's sides are straight over this share of its rows, the corners may be round.
_STRAIGHT, _MIN_BAR = 0.7, 14
# Of the usual print: a dash is so high at most; of its height, a row of them so wide at least.
_DASH, _DASHES = 0.5, 12
# Of a line's usual glyph: a higher one may be letters of two lines that touch.
_TALL = 1.7
# So many dots in a row lead to something; fewer are punctuation.
_LEADER = 5
Flags = npt.NDArray[np.bool_]


def glyphs_of(page: Image.Image) -> Components:
    """What may be letters on ``page`` (RGB), as far as it is searched in one part."""
    scale = min(1.0, _MAX_WIDTH / page.width)
    rows = min(page.height, round(_MAX_ROWS / scale))
    size = (round(page.width * scale), max(1, round(rows * scale)))
    part = page.crop((0, 0, page.width, rows)).resize(size, Image.Resampling.BOX)
    return _glyphs(labelled_runs(_without_underlines(marks_of(part))))[0]


def find_lines(page: Image.Image) -> list[LineBox]:
    """The pieces of lines of ``page`` (upright, RGB), in no special order."""
    scale = min(1.0, _MAX_WIDTH / page.width)
    if scale < 1:
        size = (_MAX_WIDTH, max(1, round(page.height * scale)))
        page = page.resize(size, Image.Resampling.BOX)
    pieces: list[_Piece] = []
    top = 0
    while top < page.height:
        bottom = min(page.height, top + _MAX_ROWS)
        marks = marks_of(page.crop((0, top, page.width, bottom)))
        if bottom < page.height:
            marks = marks[: _empty_row(marks)]
        pieces += _pieces(marks, top)
        top += len(marks)
    usual = float(np.median([piece.print_height for piece in pieces])) if pieces else 0.0
    return [_scaled(piece, 1 / scale) for piece in pieces if _is_print(piece, usual)]


def _empty_row(marks: Flags) -> int:
    """The last row without marks, where a long page may be cut; all rows if there is none."""
    empty = np.flatnonzero(~marks[1:].any(axis=1))
    return int(empty[-1]) + 1 if len(empty) else len(marks)


def _pieces(marks: Flags, top: int) -> list[_Piece]:
    """The pieces of lines in ``marks``, whose first row is row ``top`` of the page."""
    glyphs, small = _glyphs(labelled_runs(_without_underlines(marks)))
    if not len(glyphs):
        return []
    pieces = _outermost(_with_small(_lines(glyphs), _without_leaders(small)))
    for piece in pieces:
        piece.top, piece.bottom = piece.top + top, piece.bottom + top
        piece.baseline += top
    return pieces


def _without_underlines(marks: Flags) -> Flags:
    """``marks`` without rules that letters touch: they would join all words of a line."""
    runs = labelled_runs(marks)
    found = components_of(runs)
    flat = (found.width > 60) & (found.width > 8 * found.height) & ~_frames(runs, found)
    length = runs.end - runs.start
    ruled = flat[runs.label] & (length >= 0.5 * found.width[runs.label])
    marks = marks.copy()
    for row, start, end in zip(runs.row[ruled], runs.start[ruled], runs.end[ruled], strict=True):
        marks[row, start:end] = False
    return marks


@dataclass(slots=True)
class _Piece:
    left: int
    top: int
    right: int
    bottom: int
    print_height: float
    baseline: float
    cap_height: float


def _glyphs(runs: Runs) -> tuple[Components, Components]:
    """Components that may be letters or words, and small ones that may be punctuation."""
    found = components_of(runs)
    height, width = found.height, found.width
    large = (height > _MAX_GLYPH) | _frames(runs, found)
    thin = (height <= 3) & (width > 30)
    glyphs = ~large & ~thin & (height >= _MIN_GLYPH) & (found.area >= 6)
    glyphs &= ~((width == 1) & (height > 10))  # one edge alone: of an area, not of a stroke
    glyphs &= ~((height > 12 * width) & (height > 40))  # upright rules
    small = ~large & ~thin & ~glyphs & (found.area >= 2)
    return found.where(glyphs), found.where(small)


def _frames(runs: Runs, found: Components) -> Flags:
    """Rectangles around something: buttons, boxes of forms, cells."""
    length = (runs.end - runs.start) / found.width[runs.label]
    first = np.zeros(len(found))
    last = first.copy()
    near_top = runs.row - found.top[runs.label] < 4
    near_bottom = found.bottom[runs.label] - runs.row <= 4
    np.maximum.at(first, runs.label[near_top], length[near_top])
    np.maximum.at(last, runs.label[near_bottom], length[near_bottom])
    edged = (first >= _FRAME_EDGE) & (last >= _FRAME_EDGE)
    edged &= (found.height >= 10) & (found.width >= 0.35 * found.height)
    hollow = (found.height >= _MIN_BAR) & (found.area < 0.25 * found.width * found.height)
    frames = edged & hollow & (_straight(runs, found) >= _STRAIGHT)
    candidates = np.flatnonzero(edged & ~frames & (found.width >= found.height))
    for index in candidates:
        inside = (
            (found.left > found.left[index])
            & (found.right < found.right[index])
            & (found.top > found.top[index])
            & (found.bottom < found.bottom[index])
            & (found.height >= 3)
        )
        wide = found.width[index] >= 1.5 * found.height[index]
        frames[index] = inside.sum() >= (1 if wide else 3)
    return frames


def _straight(runs: Runs, found: Components) -> npt.NDArray[np.float64]:
    """Of each component's rows: which share starts and ends at its sides."""
    count = len(found)
    left = np.bincount(runs.label[runs.start <= found.left[runs.label] + 1], minlength=count)
    right = np.bincount(runs.label[runs.end >= found.right[runs.label] - 1], minlength=count)
    return np.asarray(np.minimum(left, right) / found.height)


def _lines(glyphs: Components) -> list[_Piece]:
    """Glyphs that stand side by side, joined."""
    order = np.argsort(glyphs.left, kind="stable")
    glyphs = glyphs.where(order)
    label = merged_labels(len(glyphs), *_neighbours(glyphs))
    found: list[_Piece] = []
    for members in _members(label):
        line = glyphs.where(members)
        tall = line.height > _TALL * np.median(line.height)
        touching = tall.any() and _rows(line) > _TALL * float(np.max(line.height[~tall]))
        # Without the letters that touch, two lines are two.
        found += _grown(_lines(line.where(~tall)), line.where(tall)) if touching else [_piece(line)]
    return found


def _grown(pieces: list[_Piece], tall: Components) -> list[_Piece]:
    """``pieces`` over the letters of two lines that touch; what these join is one."""
    for piece in pieces:
        size = piece.bottom - piece.top
        shared = np.minimum(tall.bottom, piece.bottom) - np.maximum(tall.top, piece.top)
        gap = np.maximum(tall.left - piece.right, piece.left - tall.right)
        own = (shared >= _MIN_SHARED * size) & (gap <= _MAX_GAP * size)
        if own.any():
            piece.left = min(piece.left, int(tall.left[own].min()))
            piece.right = max(piece.right, int(tall.right[own].max()))
    kept: list[_Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.left):
        other = next((other for other in kept if _crosses(piece, other)), None)
        if other is None:
            kept.append(piece)
            continue
        other.top, other.bottom = min(other.top, piece.top), max(other.bottom, piece.bottom)
        other.right = max(other.right, piece.right)
    return kept


def _crosses(piece: _Piece, other: _Piece) -> bool:
    shared = min(piece.bottom, other.bottom) - max(piece.top, other.top)
    low = min(piece.bottom - piece.top, other.bottom - other.top)
    return piece.left < other.right and shared >= _MIN_SHARED * low


def _rows(glyphs: Components) -> int:
    return int(glyphs.bottom.max() - glyphs.top.min())


def _members(label: Ints) -> list[Ints]:
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def _piece(members: Components) -> _Piece:
    baseline = baseline_of(members)
    return _Piece(
        int(members.left.min()),
        int(members.top.min()),
        int(members.right.max()),
        int(members.bottom.max()),
        float(np.percentile(members.height, 70)),
        baseline,
        cap_height_of(members, baseline),
    )


def _neighbours(glyphs: Components) -> tuple[Ints, Ints]:
    """Pairs of glyphs (sorted by their left edge) that belong to one line."""
    ones, others = [], []
    indices = np.arange(len(glyphs))
    height = glyphs.height
    limit = _MAX_GAP * min(_MAX_GLYPH, int(height.max()))
    reach = np.maximum.accumulate(glyphs.right) + limit
    for offset in range(1, len(glyphs)):
        one, other = indices[:-offset], indices[offset:]
        near = glyphs.left[other] <= reach[one]
        if not near.any():
            break
        one, other = one[near], other[near]
        shared = np.minimum(glyphs.bottom[one], glyphs.bottom[other]) - np.maximum(
            glyphs.top[one], glyphs.top[other]
        )
        low = np.minimum(height[one], height[other])
        high = np.maximum(height[one], height[other])
        gap = glyphs.left[other] - glyphs.right[one]
        joined = (
            (shared >= _MIN_SHARED * low) & (high <= _MAX_RATIO * low) & (gap <= _MAX_GAP * high)
        )
        ones.append(one[joined])
        others.append(other[joined])
    if not ones:
        return indices[:0], indices[:0]
    return np.concatenate(ones), np.concatenate(others)


def _with_small(pieces: list[_Piece], small: Components) -> list[_Piece]:
    """``pieces`` grown over the punctuation and the accents that belong to them."""
    for piece in pieces:
        size = piece.bottom - piece.top
        across, along = _MAX_GAP_ACROSS * size, _MAX_GAP_ALONG * size
        near = (
            (small.top >= piece.top - across)
            & (small.bottom <= piece.bottom + across)
            & (small.right >= piece.left - along)
            & (small.left <= piece.right + along)
            & (small.width <= 1.5 * size)
        )
        if near.any():
            piece.left = min(piece.left, int(small.left[near].min()))
            piece.top = min(piece.top, int(small.top[near].min()))
            piece.right = max(piece.right, int(small.right[near].max()))
            piece.bottom = max(piece.bottom, int(small.bottom[near].max()))
    return pieces


def _without_leaders(small: Components) -> Components:
    """``small`` without dots in a row, as between an item and its price."""
    order = np.lexsort((small.left, small.top))
    dots = small.where(order)
    count = np.zeros(len(dots), np.int64)
    for step in range(1, _LEADER):
        alike = (
            (np.abs(dots.top[step:] - dots.top[:-step]) <= 1)
            & (np.abs(dots.width[step:] - dots.width[:-step]) <= 1)
            & (dots.left[step:] - dots.left[:-step] <= 14 * step)
        )
        count[step:] += alike
        count[:-step] += alike
    led = dots.where(count >= _LEADER - 1)
    beside = (
        (np.abs(dots.top[:, None] - led.top) <= 2)
        & (np.abs(dots.width[:, None] - led.width) <= 1)
        & (np.abs(dots.left[:, None] - led.left) <= 14)
    )
    return dots.where(~beside.any(axis=1))


def _outermost(pieces: list[_Piece]) -> list[_Piece]:
    """``pieces`` without the insides and the dots of large letters, which belong to others."""
    kept: list[_Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.left - piece.right):
        owner = next((other for other in kept if _belongs(piece, other)), None)
        if owner is None:
            kept.append(piece)
        else:
            owner.top, owner.bottom = min(owner.top, piece.top), max(owner.bottom, piece.bottom)
            owner.left, owner.right = min(owner.left, piece.left), max(owner.right, piece.right)
    return kept


def _belongs(piece: _Piece, other: _Piece) -> bool:
    """Whether ``piece`` lies within ``other``, or is small and close to it."""
    size = other.bottom - other.top
    small = piece.bottom - piece.top <= _SMALL * size and piece.right - piece.left <= size
    across, along = (_MAX_GAP_ACROSS * size, _MAX_GAP_ALONG / 2 * size) if small else (0.0, 0.0)
    width = piece.right - piece.left if small else 0
    return (
        piece.left >= other.left - along - width
        and piece.right <= other.right + along + width
        and piece.top >= other.top - across
        and piece.bottom <= other.bottom + across
    )


def _is_print(piece: _Piece, usual: float) -> bool:
    """Whether ``piece`` is to be read; not a row of dashes, on a page with ``usual`` print."""
    width, height = piece.right - piece.left, piece.bottom - piece.top
    dashes = piece.print_height < _DASH * usual and width > _DASHES * piece.print_height
    return height >= 6 and width >= 3 and piece.print_height >= _MIN_GLYPH and not dashes


def _scaled(piece: _Piece, scale: float) -> LineBox:
    edges = (piece.left, piece.top, piece.right, piece.bottom)
    left, top, right, bottom = (round(edge * scale) for edge in edges)
    sizes = (piece.print_height, piece.baseline, piece.cap_height)
    return LineBox(left, top, right, bottom, *(size * scale for size in sizes))
