"""Boxes asked for a second time, each on a crop around it.

A small model writes a box as finely as the tile shows the object, and goes on after the last one.
On a crop around a box the object is larger: the mean of both predictions is nearer to it than
either. Of several boxes, one whose crop holds no such object is left out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from dvl2_cli.engine.events import Finished
from dvl2_cli.tasks.grounding.coordinates import SCALE, to_pixels
from dvl2_cli.tasks.grounding.locating import Located
from dvl2_cli.tasks.grounding.overlap import iou, repeating
from dvl2_cli.tasks.grounding.parse import Grounded, Region, parse_grounding
from dvl2_cli.tasks.grounding.tags import Box999

if TYPE_CHECKING:
    from PIL.Image import Image

# The crop's side, in those of the box, and the pixels that it is shown at.
CROP_SIDES, SHOWN = 2.5, 384
# Both predictions mean one object if they overlap by more than this.
_AGREE = 0.2
# Refined boxes lie more exactly, so that repeats show earlier.
_SAME = 0.5
# A place in the picture; in the crop what was there stands in the middle.
_PLACE = re.compile(
    r"\b(?:in|on|at) the (?:(?:top|bottom|upper|lower)(?:[ -](?:left|right))?|left|right)\b"
)
_MIDDLE = "in the centre"

# More boxes are left as they are: every one is a question.
_MAX_BOXES = 24

Ask = Callable[["Image", str], Finished]
# Left, top, right and bottom in whole pixels.
Crop = tuple[int, int, int, int]


def refine_boxes(located: Located, picture: Image, ask: Ask) -> Located:
    """``located`` with boxes nearer to what its phrase names, and fewer that repeat or invent it.

    Args:
        located: a phrase and the answer about the whole picture.
        picture: upright RGB picture.
        ask: asks for the boxes of a phrase in another picture. If it is cancelled, the first
            answer stays as it is.
    """
    first = located.found
    whole = located.answer.finish_reason == "stop"
    if located.query is None or not whole or len(first.regions) > _MAX_BOXES:
        return located
    about = _PLACE.sub(_MIDDLE, located.query)
    seen: list[tuple[Region, Box999 | None]] = []
    answers: list[Finished] = []
    for region in first.regions:
        crop = crop_around(region.box, picture.size)
        answers.append(ask(_enlarged(picture, crop), about))
        if answers[-1].finish_reason == "cancelled":
            return dataclasses.replace(located, again=tuple(answers))
        second = parse_grounding(answers[-1].raw)
        seen.append((region, _nearest(region.box, second, crop, picture.size)))
    grounded = dataclasses.replace(first, regions=filter_confirmed_boxes(seen))
    return dataclasses.replace(located, again=tuple(answers), grounded=grounded)


def filter_confirmed_boxes(seen: list[tuple[Region, Box999 | None]]) -> tuple[Region, ...]:
    """The regions whose crop holds something, or all where none does; none twice."""
    held = [(region, box) for region, box in seen if box is not None]
    regions = [
        dataclasses.replace(region, box=_both(region.box, box)) for region, box in held or seen
    ]
    again = repeating([region.box for region in regions], _SAME)
    return tuple(region for region, repeats in zip(regions, again, strict=True) if not repeats)


def crop_around(box: Box999, size: tuple[int, int]) -> Crop:
    """Whole pixels (left, top, right, bottom) around ``box`` in a picture of ``size``."""
    x0, y0, x1, y1 = to_pixels(box, *size)
    half = max(x1 - x0, y1 - y0, 8) * CROP_SIDES / 2
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return (
        max(0, int(x - half)),
        max(0, int(y - half)),
        min(size[0], int(x + half) + 1),
        min(size[1], int(y + half) + 1),
    )


def _enlarged(picture: Image, crop: Crop) -> Image:
    from PIL.Image import Resampling

    part = picture.crop(crop)
    scale = SHOWN / max(part.size)
    width, height = (max(1, round(side * scale)) for side in part.size)
    return part.resize((width, height), Resampling.LANCZOS)


def _nearest(box: Box999, second: Grounded, crop: Crop, size: tuple[int, int]) -> Box999 | None:
    """Of the boxes in the crop the one that overlaps most, in the picture; None of none."""
    boxes = [_in_picture(region.box, crop, size) for region in second.regions]
    return max(boxes, key=lambda other: iou(box, other), default=None)


def _in_picture(box: Box999, crop: Crop, size: tuple[int, int]) -> Box999:
    left, top, right, bottom = crop
    x0, y0, x1, y1 = to_pixels(box, right - left, bottom - top)
    return (
        (left + x0) / size[0] * SCALE,
        (top + y0) / size[1] * SCALE,
        (left + x1) / size[0] * SCALE,
        (top + y1) / size[1] * SCALE,
    )


def _both(box: Box999, other: Box999 | None) -> Box999:
    """The mean in whole numbers if they mean one object, else the first."""
    if other is None or iou(box, other) <= _AGREE:
        return box
    x0, y0, x1, y1 = (float(round((a + b) / 2)) for a, b in zip(box, other, strict=True))
    return (x0, y0, x1, y1)
