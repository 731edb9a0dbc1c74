"""How much boxes overlap, and which only repeat another."""

from __future__ import annotations

from collections.abc import Sequence

from dvl2_cli.tasks.grounding.tags import Box999

# From here on two boxes of one label are one object, named twice. Objects that stand so close are
# rare, and models that go on after the last object are not.
SAME = 0.75


def iou(left: Box999, right: Box999) -> float:
    """Intersection over union of two xyxy boxes, 0..1; 0 for boxes without area."""
    width = min(left[2], right[2]) - max(left[0], right[0])
    height = min(left[3], right[3]) - max(left[1], right[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (left, right))
    return shared / (areas - shared)


def without_repeats(boxes: Sequence[Box999]) -> tuple[list[Box999], list[Box999]]:
    """The boxes of one label without those that repeat an earlier one, and these."""
    again = repeating(boxes, SAME)
    kept = [box for box, repeats in zip(boxes, again, strict=True) if not repeats]
    return kept, [box for box, repeats in zip(boxes, again, strict=True) if repeats]


def repeating(boxes: Sequence[Box999], same: float) -> list[bool]:
    """For each box whether it overlaps an earlier one that does not repeat another, by an IoU of
    at least ``same``.
    """
    kept: list[Box999] = []
    found: list[bool] = []
    for box in boxes:
        found.append(any(iou(box, other) >= same for other in kept))
        if not found[-1]:
            kept.append(box)
    return found
