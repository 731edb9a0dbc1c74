"""Put pieces of lines in reading order: columns one after the other, rows from left to right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from dvl2_cli.tasks.reading.lines.line import LineBox

LineRow = tuple[LineBox, ...]

# Of the print height: the narrowest gutter between columns, and the one between short blocks.
_MIN_GUTTER, _MIN_BLOCK_GUTTER = 1.2, 5.0
# Of the print height: lines at least so wide are prose, not cells.
_PROSE = 14.0
# Of the print height: lines of one paragraph follow each other at most so far.
_MAX_LEADING = 2.9
# And lines of an address: what is looser are the labels of a form.
_MAX_ADDRESS_LEADING = 2.3
# Of the print height: most that is empty across a text in columns.
_MAX_BREAK = 4.5
# Of the lines of two columns: as many or more on one height are rows of a table.
_ALIGNED = 0.7
# Pieces of a row of a table, at least: fewer are label and value, or two columns.
_CELLS = 3
# Of the print height: edges that differ by less are flush.
_FLUSH = 0.7
# Of a lower line's height: what two pieces of a row share at least.
_MIN_SHARED = 0.3


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Rows that are read one after the other, each from left to right."""

    rows: tuple[LineRow, ...]


def in_reading_order(pieces: Sequence[LineBox]) -> list[RowBlock]:
    """The blocks of a page; a column of prose is one, and so are the rows between columns."""
    bands = _bands(pieces)
    found = _columns(bands)
    if found is None:
        return [RowBlock(tuple(rows_of(pieces)))] if pieces else []
    first, last, left, right = found
    before = [piece for band in bands[:first] for piece in band]
    after = [piece for band in bands[last:] for piece in band]
    parts = (before, left, right, after)
    return [block for part in parts for block in in_reading_order(part)]


def rows_of(pieces: Sequence[LineBox]) -> list[LineRow]:
    """Pieces that stand beside each other, top to bottom."""
    rows: list[list[LineBox]] = []
    for piece in sorted(pieces, key=lambda piece: piece.middle):
        row = next((row for row in rows[-3:] if _beside(row, piece)), None)
        if row is None:
            rows.append([piece])
        else:
            row.append(piece)
    return [tuple(sorted(row, key=lambda piece: piece.left)) for row in rows]


def _beside(row: Sequence[LineBox], piece: LineBox) -> bool:
    """Whether ``piece`` shares its height with the row's pieces and its place with none."""
    nearest = min(row, key=lambda other: max(other.left - piece.right, piece.left - other.right))
    shared = min(nearest.bottom, piece.bottom) - max(nearest.top, piece.top)
    apart = all(other.right <= piece.left or piece.right <= other.left for other in row)
    return apart and shared >= _MIN_SHARED * min(nearest.height, piece.height)


def _bands(pieces: Sequence[LineBox]) -> list[list[LineBox]]:
    """Pieces between rows of pixels that none of them crosses, top to bottom."""
    bands: list[list[LineBox]] = []
    bottom = 0
    for piece in sorted(pieces, key=lambda piece: piece.top):
        if not bands or piece.top >= bottom:
            bands.append([])
        bands[-1].append(piece)
        bottom = max(bottom, piece.bottom)
    return bands


def _columns(
    bands: Sequence[list[LineBox]],
) -> tuple[int, int, list[LineBox], list[LineBox]] | None:
    """The longest run of bands that a gutter divides into columns: first, last (exclusive), and
    what stands left and right of it.
    """
    best: tuple[int, int, list[LineBox], list[LineBox]] | None = None
    tables = _tables(bands)
    for first in range(len(bands)):
        table = next((place for place in tables if place >= first), len(bands))
        for last in range(table, first, -1):
            if best is not None and last - first <= best[1] - best[0]:
                break
            inside = [piece for band in bands[first:last] for piece in band]
            if len(inside) < 4:
                break
            if _is_broken(bands[first:last]):
                continue
            found = next((way for way in _divided(inside) if _starts_both(bands[first], way)), None)
            if found is not None:
                best = (first, last, *found)
                break
    return best


def _tables(bands: Sequence[list[LineBox]]) -> list[int]:
    """Which bands are rows of tables: one row of short cells, as are in the next or the last."""
    cells = [_cells(band) for band in bands]
    pairs = [place for place, (high, low) in enumerate(pairwise(cells)) if _continue(high, low)]
    return sorted({*pairs, *(place + 1 for place in pairs)})


def _cells(band: Sequence[LineBox]) -> LineRow:
    """The cells of ``band`` if it may be a row of a table."""
    rows = rows_of(band)
    if len(rows) != 1 or len(rows[0]) < _CELLS or _is_prose(rows):
        return ()
    return rows[0]


def _continue(row: LineRow, near: LineRow) -> bool:
    """Whether the cells of one row, but for one, stand below or above those of the other."""
    fewer, more = sorted((row, near), key=len)
    return len(fewer) >= _CELLS and _flush(fewer, more) >= len(fewer) - 1


def _flush(cells: LineRow, others: LineRow) -> int:
    """How many ``cells`` have an edge or the middle in common with one of ``others``."""
    slack = _FLUSH * max(cell.print_height for cell in cells)
    places = [(other.left, other.right, (other.left + other.right) / 2) for other in others]
    own = [(cell.left, cell.right, (cell.left + cell.right) / 2) for cell in cells]
    return sum(
        any(abs(x - y) <= slack for place in places for x, y in zip(cell, place, strict=True))
        for cell in own
    )


def _starts_both(band: Sequence[LineBox], way: tuple[list[LineBox], list[LineBox]]) -> bool:
    """Whether both columns begin in ``band``: what stands above one alone is no part of it."""
    return all(any(piece in side for piece in band) for side in way)


def _is_broken(bands: Sequence[list[LineBox]]) -> bool:
    """Whether so much is empty between two bands that they are no part of one text."""
    size = median(piece.print_height for band in bands for piece in band)
    bottoms = [max(piece.bottom for piece in band) for band in bands]
    tops = [min(piece.top for piece in band) for band in bands]
    return any(
        top - bottom > _MAX_BREAK * size for bottom, top in zip(bottoms, tops[1:], strict=False)
    )


def _divided(pieces: list[LineBox]) -> Iterator[tuple[list[LineBox], list[LineBox]]]:
    """Ways to divide pieces at a gutter so that both sides are columns, from the left."""
    size = median(piece.print_height for piece in pieces)
    ordered = sorted(pieces, key=lambda piece: piece.left)
    right_edge = ordered[0].right
    for index, piece in enumerate(ordered[1:], 1):
        gutter = piece.left - right_edge
        if gutter >= _MIN_GUTTER * size:
            left, right = ordered[:index], ordered[index:]
            if _are_columns(left, right, gutter / size):
                yield left, right
        right_edge = max(right_edge, piece.right)


def _are_columns(left: list[LineBox], right: list[LineBox], gutter: float) -> bool:
    """Whether each side is read by itself; ``gutter`` is in print heights."""
    sides = [rows_of(left), rows_of(right)]
    if min(len(rows) for rows in sides) < 2 or not all(_is_tight(rows) for rows in sides):
        return False
    aligned = _aligned(*sides)
    if aligned < _ALIGNED:
        return True
    if all(_is_prose(rows) for rows in sides):
        return True
    # Two addresses side by side: short lines, far apart, each with a straight left edge.
    blocks = all(len(row) == 1 for rows in sides for row in rows)
    level = abs(len(sides[0]) - len(sides[1])) <= 2
    return (
        blocks
        and level
        and gutter >= _MIN_BLOCK_GUTTER
        and all(_is_address(rows) for rows in sides)
    )


def _aligned(one: Sequence[LineRow], other: Sequence[LineRow]) -> float:
    """Which share of the rows of the side with fewer stands at the height of a row opposite."""
    fewer, more = sorted((one, other), key=len)
    middles = [_middle(row) for row in more]
    near = [
        min(abs(_middle(row) - middle) for middle in middles) <= 0.35 * _size(row) for row in fewer
    ]
    return sum(near) / len(near)


def _is_tight(rows: Sequence[LineRow], most: float = _MAX_LEADING) -> bool:
    """Whether rows follow each other like lines of paragraphs."""
    pitch = median(_middle(low) - _middle(high) for high, low in pairwise(rows))
    return pitch <= most * median(_size(row) for row in rows)


def _is_prose(rows: Sequence[LineRow]) -> bool:
    return median(piece.width / piece.print_height for row in rows for piece in row) >= _PROSE


def _is_address(rows: Sequence[LineRow]) -> bool:
    """Three or more short lines that start on one edge, and end anywhere."""
    size = median(_size(row) for row in rows)
    widths = [row[0].width / size for row in rows]
    lefts, rights = [row[0].left for row in rows], [row[0].right for row in rows]
    ragged = max(rights) - min(rights) > max(lefts) - min(lefts) <= size
    shaped = 3 <= len(rows) <= 8 and ragged and median(widths) >= 6.0
    return shaped and _is_tight(rows, _MAX_ADDRESS_LEADING)


def _middle(row: LineRow) -> float:
    return median(piece.middle for piece in row)


def _size(row: LineRow) -> float:
    return max(piece.print_height for piece in row)
