"""Rows of print as strips: black on white, all of one height, cut at white gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt
from PIL import Image

from dvl2_cli.tasks.reading.lines.components import runs_of
from dvl2_cli.tasks.reading.lines.line import LineBox
from dvl2_cli.tasks.reading.lines.order import LineRow

Grey = npt.NDArray[np.float32]

# Of a line's height: paper around a cut line, and the gap between cells that share a strip.
_MARGIN, _CELL_GAP = 0.12, 0.4
# Of a line's height: a gap between words is at least so wide.
_WORD_GAP = 0.16
# Of the contrast between ground and ink: what is ink.
_INK = 0.35
# A line is as high as the others of the page that differ from it by less than this factor.
_ALIKE, _MIN_ALIKE = 1.6, 3
# A line whose glyphs are all about as high as itself has capitals or digits alone: with others
# it would be so many times as high.
_LEVEL, _OVER_LEVEL = 0.9, 1.35


@dataclass(frozen=True, slots=True)
class Strip:
    """Part of a row, ready to be shown.

    Attributes:
        row: number of the row on the page.
        image: grey picture, black print on white.
        glued: whether the text follows the strip before without a space.
        widths: of the cells in it, in pixels of ``image``.
    """

    row: int
    image: Image.Image
    glued: bool
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    values: Grey
    glued: bool


def strips_of(
    page: Image.Image, rows: Sequence[LineRow], height: int, max_width: int
) -> list[Strip]:
    """Every row of ``page`` (RGB) as strips of lines ``height`` pixels high, at most
    ``max_width`` pixels wide; in order.
    """
    heights = [piece.height for row in rows for piece in row]
    strips = []
    for number, row in enumerate(rows):
        parts: list[_Part] = []
        for piece in row:
            full = _full_height(piece, heights)
            parts += _parts(_scaled(page, piece, full, height), height, max_width)
        strips += _filled(number, parts, height, max_width)
    return strips


def _full_height(piece: LineBox, heights: Sequence[int]) -> float:
    """Rows from the top of high letters to the bottom of hanging ones in this print; a line of
    small letters alone is lower.
    """
    alike = [h for h in heights if piece.height / _ALIKE <= h <= piece.height * _ALIKE]
    level = piece.print_height >= _LEVEL * piece.height
    alone = len(alike) < _MIN_ALIKE
    return max(piece.height * (_OVER_LEVEL if level and alone else 1.0), median(alike))


def _scaled(page: Image.Image, piece: LineBox, full: float, height: int) -> Grey:
    """The piece with a margin, its ink black and its ground white, as 0 to 1 [h, w]."""
    margin = max(1.0, _MARGIN * full)
    # Letters stand in the middle of the strip; what a lower line lacks is paper.
    spare = (full - piece.height) / 2
    box = (
        max(0, round(piece.left - 2 * margin)),
        max(0, round(piece.top - margin - spare)),
        min(page.width, round(piece.right + 2 * margin)),
        min(page.height, round(piece.bottom + margin + spare)),
    )
    crop = page.crop(box)
    scale = height / (full + 2 * margin)
    size = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
    shown = crop.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return black_on_white(np.asarray(shown, dtype=np.float32))


def black_on_white(colours: npt.NDArray[np.float32]) -> Grey:
    """Distance from the ground's colour, as 1 (ground) to 0 (ink), of [H, W, 3] in 0..255."""
    ground = np.median(_border(colours), axis=0)
    distance = np.abs(colours - ground).max(axis=2)
    most = float(np.percentile(distance, 99))
    return np.asarray(1 - np.clip(distance / max(most, 24.0), 0, 1), dtype=np.float32)


def _border(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    edges = (colours[0], colours[-1], colours[:, 0], colours[:, -1])
    return np.concatenate(edges)


def _parts(values: Grey, height: int, max_width: int) -> list[_Part]:
    """``values`` cut at white gaps into pieces of about the same width."""
    parts: list[_Part] = []
    glued = False
    count = -(-values.shape[1] // max_width)
    while values.shape[1] > max_width:
        place, glued_next = _cut(values, values.shape[1] / count, height, max_width)
        parts.append(_Part(values[:, :place], glued))
        values, glued = values[:, place:], glued_next
        count = max(count - 1, -(-values.shape[1] // max_width))
    return [*parts, _Part(values, glued)]


def _cut(values: Grey, wanted: float, height: int, max_width: int) -> tuple[int, bool]:
    """Where to cut near ``wanted``, and whether that is within a word."""
    paper = np.asarray((values >= 1 - _INK).all(axis=0))
    starts, ends = runs_of(paper)
    middles, widths = (starts + ends) / 2, ends - starts
    allowed = (middles <= max_width) & (middles >= 0.4 * wanted) & (starts > 0)
    words = allowed & (widths >= _word_gap(widths, height))
    for gaps, glued in ((words, False), (allowed, True)):
        if gaps.any():
            # A wide gap is worth a little way: it is more surely between words.
            cost = np.abs(middles - wanted) - 3.0 * np.minimum(widths, height)
            return int(middles[gaps][np.argmin(cost[gaps])]), glued
    return max_width, True


def _word_gap(widths: npt.NDArray[np.int64], height: int) -> float:
    """How wide gaps between words are at least: where the widths of all gaps jump the most."""
    ordered = np.unique(np.maximum(widths, 1))
    wide = np.flatnonzero((ordered[1:] >= _WORD_GAP * height) & (ordered[:-1] < 0.8 * height))
    if not len(wide):
        return _WORD_GAP * height
    return float(ordered[1:][wide[np.argmax(ordered[1:][wide] / ordered[:-1][wide])]])


def _filled(row: int, parts: Sequence[_Part], height: int, max_width: int) -> list[Strip]:
    """Parts side by side on as few strips as they need."""
    gap = round(_CELL_GAP * height)
    groups: list[list[_Part]] = []
    width = 0
    for part in parts:
        fits = bool(groups) and width + gap + part.values.shape[1] <= max_width
        if fits and not part.glued:
            groups[-1].append(part)
            width += gap + part.values.shape[1]
        else:
            groups.append([part])
            width = part.values.shape[1]
    return [_strip(row, group, gap) for group in groups]


def _strip(row: int, group: Sequence[_Part], gap: int) -> Strip:
    widths = tuple(part.values.shape[1] for part in group)
    rows = max(part.values.shape[0] for part in group)
    canvas = np.ones((rows, sum(widths) + gap * (len(group) - 1)), np.float32)
    left = 0
    for part in group:
        top = (rows - part.values.shape[0]) // 2
        canvas[top : top + part.values.shape[0], left : left + part.values.shape[1]] = part.values
        left += part.values.shape[1] + gap
    image = Image.fromarray((canvas * 255).astype(np.uint8))
    return Strip(row, image, group[0].glued, widths)
