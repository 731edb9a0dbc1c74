"""One question with what a right answer is, and what the model made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.engine.request import Message

Metric = Literal["cer", "anls", "iou", "boxes", "absent", "exact", "objects"]
Box999 = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Item:
    """A question about ``images``, which stand where ``places`` says, as in `Message`.

    ``reference`` is the right answer as text; for the metrics "iou" and "boxes" the right
    boxes are in ``boxes`` (xyxy, 0..999). For "objects" ``grade`` scores an answer, 0..1.
    ``history`` holds the turns before the question. ``group`` is the row of the report.
    """

    id: str
    group: str
    metric: Metric
    question: str
    reference: str
    images: tuple[Image, ...] = ()
    boxes: tuple[Box999, ...] = ()
    history: tuple[Message, ...] = ()
    places: tuple[int, ...] | None = None
    grade: Callable[[str], float] | None = None


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The answer to an item with its score, 0..1.

    The score is the item's share of the metric, higher is better, except for "cer", where
    it is the item's own error rate. ``errors`` and ``length`` are its character edits and
    reference characters ("cer" only), ``word_errors`` and ``words`` the same for words.
    """

    item: Item
    answer: str
    score: float
    seconds: float
    finish_reason: str
    tokens: int = 0
    errors: int = 0
    length: int = 0
    word_errors: int = 0
    words: int = 0
