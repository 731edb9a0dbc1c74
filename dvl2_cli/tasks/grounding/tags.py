"""The special tokens around labels and boxes, and text written with them.

Format of the released models: ``<|ref|>label<|/ref|><|det|>[[x1, y1, x2, y2], …]<|/det|>``,
integers 0..999 relative to the whole original picture.
"""

from __future__ import annotations

from collections.abc import Iterable

REF_OPEN, REF_CLOSE = "<|ref|>", "<|/ref|>"
DET_OPEN, DET_CLOSE = "<|det|>", "<|/det|>"
GROUNDING = "<|grounding|>"
TAGS = (REF_OPEN, REF_CLOSE, DET_OPEN, DET_CLOSE, GROUNDING)

Box999 = tuple[float, float, float, float]


def format_object(label: str, boxes: Iterable[Box999]) -> str:
    """``label`` and its boxes (xyxy, 0..999, written as integers) as the model writes them."""
    listed = ", ".join(f"[{', '.join(str(round(value)) for value in box)}]" for box in boxes)
    return f"{REF_OPEN}{label}{REF_CLOSE}{DET_OPEN}[{listed}]{DET_CLOSE}"
