"""Boxes that a user gives in pixels, as the model writes them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from deepseek_vl_v2.format.tags import DET_CLOSE, DET_OPEN, REF_CLOSE, REF_OPEN, TAGS
from dvl2_cli.tasks.grounding.boxes import are_fractions
from dvl2_cli.tasks.grounding.coordinates import from_pixels
from dvl2_cli.tasks.grounding.parse import parse_grounding
from dvl2_cli.tasks.grounding.tags import Box999, format_object

Size = tuple[int, int]
# Annotation tools round outwards.
_SLACK = 1.0
_BOX_LIST = re.compile(re.escape(DET_OPEN) + "(.*?)" + re.escape(DET_CLOSE), re.DOTALL)


def box_from_pixels(value: Any, size: Size) -> Box999:
    """``value`` as whole numbers 0..999.

    Args:
        value: [x1, y1, x2, y2] in pixels from the upper left corner.
        size: width and height of the upright picture.

    Raises:
        ValueError: what is wrong with it, and what to write.
    """
    numbers = isinstance(value, list) and all(type(part) in (int, float) for part in value)
    if not numbers or len(value) != 4 or not all(math.isfinite(part) for part in value):
        raise ValueError(f"the box {_short(value)} is not [x1, y1, x2, y2]")
    x1, y1, x2, y2 = (float(part) for part in value)
    width, height = size
    if x1 >= x2 or y1 >= y2:
        raise ValueError(f"the box {_short(value)} has no area: x1 < x2 and y1 < y2 must hold")
    if min(x1, y1) < -_SLACK or x2 > width + _SLACK or y2 > height + _SLACK:
        raise ValueError(
            f"the box {_short(value)} reaches out of the picture, which is {width} x {height} "
            "pixels when upright"
        )
    box = from_pixels((x1, y1, x2, y2), width, height)
    if box[0] == box[2] or box[1] == box[3]:
        raise ValueError(
            f"the box {_short(value)} is too small for coordinates of 0 to 999: crop the picture"
        )
    return box


def convert_lists(text: str, size: Size) -> str:
    """``text`` with the numbers of its box lists turned from pixels to 0..999.

    Raises:
        ValueError: see ``box_from_pixels``.
    """

    def converted(match: re.Match[str]) -> str:
        try:
            boxes = json.loads(match.group(1))
        except ValueError:
            boxes = None
        if not isinstance(boxes, list) or not boxes:
            raise ValueError(f"{_short(match.group(1))} is not a list of boxes: [[x1, y1, x2, y2]]")
        tagged = format_object("", [box_from_pixels(box, size) for box in boxes])
        return tagged.removeprefix(REF_OPEN + REF_CLOSE)

    return _BOX_LIST.sub(converted, text)


def written_objects(objects: Any, sizes: Sequence[Size]) -> str:
    """The text of a message's ``objects``: labels with boxes in pixels.

    Boxes of one label are listed together. An object's "image" counts ``sizes`` from 1; the
    last is meant without it.

    Raises:
        ValueError: what is wrong with which object.
    """
    if not isinstance(objects, list) or not objects:
        raise ValueError('"objects" is not a list of {"label": …, "box": [x1, y1, x2, y2]}')
    found: dict[str, list[Box999]] = {}
    for item in objects:
        label = item.get("label") if isinstance(item, dict) else None
        if not isinstance(label, str) or not label.strip():
            raise ValueError(f'the object {_short(item)} has no "label" of text')
        if any(tag in label for tag in TAGS):
            raise ValueError(f"the label {_short(label)} spells a tag: boxes stand in none")
        number = item.get("image", len(sizes))
        if type(number) is not int or not 1 <= number <= len(sizes):
            raise ValueError(
                f'the object {_short(item)} lies in no picture: its "image" must be between 1 '
                f"and {len(sizes)}, the pictures so far"
            )
        box = box_from_pixels(item.get("box"), sizes[number - 1])
        found.setdefault(label.strip(), []).append(box)
    return "".join(format_object(label, boxes) for label, boxes in found.items())


def check_tags(text: str) -> None:
    """Refuse box lists of an answer that are not whole boxes of 0..999.

    Raises:
        ValueError: the first piece that cannot be used, and why.
    """
    if DET_OPEN not in text and REF_OPEN not in text:
        return
    for found in _BOX_LIST.finditer(text):
        if are_fractions(found.group(1)):
            raise ValueError(
                f"{_short(found.group(1))}: the model is taught 0 to 999, not fractions"
            )
    for piece in parse_grounding(text).rejected:
        raise ValueError(
            f'{piece.text}: {piece.reason}; write boxes as 0 to 999, or say "boxes": "pixels"'
        )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"
