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

# Of a strip's height: capitals, and the row that letters stand on.
_CAPITALS, _BASELINE = 0.57, 0.76
# Of capitals: paper that is cut out on each side of a line, what of it is shown, and the gap
# between cells that share a strip.
_MARGIN, _SIDE, _CELL_GAP = 0.4, 0.2, 0.7
# Pixels of the page above and below a line.
_RIM = 2
# Of capitals: a gap between words is at least so wide.
_WORD_GAP = 0.27
# Pixels: how finely equal widths are looked for.
_WIDTH_STEP = 8
# Of the contrast between ground and ink: what is ink.
_INK = 0.35
# Glyphs all about as high as the highest are capitals, digits, or small letters alone: these where
# other lines have capitals so much higher, and none as high.
_LEVEL, _SMALL_LETTERS, _ALIKE = 0.9, (0.58, 0.82), (0.9, 1.1)
# Of a row's largest letters: what is lower is a dash or a dot, and shown as large as its row.
_LOWEST = 0.7


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
    pieces = [piece for row in rows for piece in row]
    strips = []
    for number, row in enumerate(rows):
        parts: list[_Part] = []
        for piece, capitals in zip(row, _capitals(row, pieces), strict=True):
            parts += _parts(_scaled(page, piece, capitals, height), height, max_width)
        strips += _filled(number, parts, height, max_width)
    return strips


def _capitals(row: LineRow, pieces: Sequence[LineBox]) -> list[float]:
    """How high capitals are, or would be, in each piece of ``row``, in pixels of the page."""
    own = [_own_capitals(piece, pieces) for piece in row]
    largest = max(own)
    return [largest if height < _LOWEST * largest else height for height in own]


def _own_capitals(piece: LineBox, pieces: Sequence[LineBox]) -> float:
    height = piece.capitals
    if piece.print_height < _LEVEL * height:
        return height
    shares = [(height / other.capitals, other.capitals) for other in pieces if other is not piece]
    if any(_ALIKE[0] <= share <= _ALIKE[1] for share, _ in shares):
        return height
    low, high = _SMALL_LETTERS
    return median([capitals for share, capitals in shares if low <= share <= high] or [height])


def _scaled(page: Image.Image, piece: LineBox, capitals: float, height: int) -> Grey:
    """The piece, its ink black and its ground white, as 0 to 1 [height, w]."""
    feet = piece.feet
    standing = _BASELINE * height
    # What is unusually high or deep is shown smaller than cut off.
    scale = min(
        _CAPITALS * height / capitals,
        standing / max(1.0, feet - piece.top),
        (height - standing) / max(1.0, piece.bottom - feet),
    )
    side = round(_MARGIN * capitals)
    box = (
        max(0, piece.left - side),
        max(0, piece.top - _RIM),
        min(page.width, piece.right + side),
        min(page.height, piece.bottom + _RIM),
    )
    crop = page.crop(box)
    size = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
    shown = crop.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    values = black_on_white(np.asarray(shown, dtype=np.float32))
    top = round(standing - (feet - box[1]) * scale)
    strip = np.ones((height, values.shape[1]), np.float32)
    first, last = max(0, top), min(height, top + len(values))
    strip[first:last] = values[first - top : last - top]
    return strip


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
    """``values`` cut at white gaps into pieces of about the same width; none without ink."""
    parts: list[_Part] = []
    glued = False
    values = _trimmed(values, height)
    count = -(-values.shape[1] // max_width)
    while values.shape[1] > max_width:
        place, glued_next = _cut(values, values.shape[1] / count, height, max_width)
        parts.append(_Part(_trimmed(values[:, :place], height), glued))
        values, glued = values[:, place:], glued_next
        count = max(count - 1, -(-values.shape[1] // max_width))
    return [part for part in [*parts, _Part(_trimmed(values, height), glued)] if part.values.size]


def _trimmed(values: Grey, height: int) -> Grey:
    """``values`` with as much paper as a strip has on each side of its ink; [h, 0] without any."""
    inked = np.flatnonzero((values < 1 - _INK).any(axis=0))
    if not len(inked):
        return values[:, :0]
    side = round(_SIDE * _CAPITALS * height)
    return values[:, max(0, int(inked[0]) - side) : int(inked[-1]) + 1 + side]


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
    least = _WORD_GAP * _CAPITALS * height
    wide = np.flatnonzero((ordered[1:] >= least) & (ordered[:-1] < 0.8 * height))
    if not len(wide):
        return least
    return float(ordered[1:][wide[np.argmax(ordered[1:][wide] / ordered[:-1][wide])]])


def _filled(row: int, parts: Sequence[_Part], height: int, max_width: int) -> list[Strip]:
    """Parts side by side on as few strips as they need, about equally wide: a digit by itself is
    read worse than one beside others.
    """
    gap = round(_CELL_GAP * _CAPITALS * height)
    groups = _groups(parts, gap, max_width)
    widest = max((part.values.shape[1] for part in parts), default=0)
    for width in range(widest, max_width, _WIDTH_STEP):
        even = _groups(parts, gap, width)
        if len(even) == len(groups):
            groups = even
            break
    return [_strip(row, group, gap) for group in groups]


def _groups(parts: Sequence[_Part], gap: int, max_width: int) -> list[list[_Part]]:
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
    return groups


def _strip(row: int, group: Sequence[_Part], gap: int) -> Strip:
    widths = tuple(part.values.shape[1] for part in group)
    height = group[0].values.shape[0]
    canvas = np.ones((height, sum(widths) + gap * (len(group) - 1)), np.float32)
    left = 0
    for part in group:
        canvas[:, left : left + part.values.shape[1]] = part.values
        left += part.values.shape[1] + gap
    image = Image.fromarray((canvas * 255).astype(np.uint8))
    return Strip(row, image, group[0].glued, widths)
