"""Where a label goes: near its box, inside the picture, off the other labels. Pure geometry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Rect = tuple[int, int, int, int]
# Boxes with less than this many times the area of their label are kept free of it.
_SMALL_BOX = 4


def place_label(
    box: Rect, size: tuple[int, int], canvas: tuple[int, int], taken: Sequence[Rect]
) -> Rect:
    """A rectangle of ``size`` for the label of ``box`` (xyxy, pixels).

    Prefers above the box, then below, inside, beside, and steps away while other labels
    are in the way; where everything is taken, the place with the least overlap. Lies inside
    ``canvas`` (width, height) as far as ``size`` allows.
    """
    best: Rect | None = None
    least = -1
    area = (box[2] - box[0]) * (box[3] - box[1])
    if area < _SMALL_BOX * size[0] * size[1]:
        # A label must not hide what it names.
        taken = [*taken, box]
    for left, top in _candidates(box, size):
        spot = _inside(left, top, size, canvas)
        overlap = sum(_overlap(spot, other) for other in taken)
        if overlap == 0:
            return spot
        if best is None or overlap < least:
            best, least = spot, overlap
    if best is None:
        return _inside(box[0], box[1], size, canvas)
    return best


def _candidates(box: Rect, size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    x1, y1, x2, y2 = box
    width, height = size
    yield x1, y1 - height
    yield x1, y2
    yield x1, y1
    yield x2 - width, y1 - height
    yield x2 - width, y2
    yield x2 - width, y1
    yield x1, y2 - height
    yield x2, y1
    yield x1 - width, y1
    for step in range(1, 13):
        yield x1, y1 - height - step * height
        yield x1, y2 + step * height
        yield x1, y1 + step * height
        yield x2, y1 + step * height
        yield x1 - width, y1 + step * height


def _inside(left: int, top: int, size: tuple[int, int], canvas: tuple[int, int]) -> Rect:
    left = max(min(left, canvas[0] - size[0]), 0)
    top = max(min(top, canvas[1] - size[1]), 0)
    return (left, top, left + size[0], top + size[1])


def _overlap(one: Rect, other: Rect) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)
