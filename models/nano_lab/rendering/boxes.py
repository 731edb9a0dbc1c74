"""Boxes in answers, written the way the model writes them."""

from __future__ import annotations

from collections.abc import Sequence

from nano_lab.rendering.sample import Box


def to_999(box: Box, width: int, height: int) -> list[int]:
    """``box`` in pixels as integers 0..999 relative to the picture."""
    scaled = (
        box[0] / width * 999, box[1] / height * 999, box[2] / width * 999, box[3] / height * 999,
    )  # fmt: skip
    return [min(999, max(0, round(value))) for value in scaled]


def tagged(phrase: str, boxes: Sequence[Box], size: tuple[int, int]) -> str:
    """``<|ref|>phrase<|/ref|><|det|>[[x0, y0, x1, y1], ...]<|/det|>``."""
    numbers = [to_999(box, *size) for box in boxes]
    return f"<|ref|>{phrase}<|/ref|><|det|>{numbers}<|/det|>"
