"""Labels and boxes written in the tags of the released models."""

from __future__ import annotations

from collections.abc import Iterable

from deepseek_vl_v2.format.tags import DET_CLOSE, DET_OPEN, REF_CLOSE, REF_OPEN

Box999 = tuple[float, float, float, float]


def format_object(label: str, boxes: Iterable[Box999]) -> str:
    """``label`` and its boxes (xyxy, 0..999, written as integers) as the model writes them."""
    listed = ", ".join(f"[{', '.join(str(round(value)) for value in box)}]" for box in boxes)
    return f"{REF_OPEN}{label}{REF_CLOSE}{DET_OPEN}[{listed}]{DET_CLOSE}"
