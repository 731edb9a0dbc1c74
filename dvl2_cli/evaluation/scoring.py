"""From an answer to its score, by the item's metric."""

from __future__ import annotations

from dvl2_cli.engine.events import Finished
from dvl2_cli.evaluation import metrics
from dvl2_cli.evaluation.item import Box999, Item, ItemResult
from dvl2_cli.tasks.grounding.parse import parse_grounding
from dvl2_cli.tasks.reading.page import PageText

Answered = Finished | PageText


def boxes_of(raw: str) -> list[Box999]:
    """The boxes of an answer in the order they come, xyxy 0..999; unreadable ones left out."""
    return [region.box for region in parse_grounding(raw).regions]


def score(item: Item, finished: Answered, seconds: float) -> ItemResult:
    """The result of ``item``; "cer" scores are error rates and may exceed 1."""
    answer = finished.raw if item.metric in {"iou", "boxes", "absent"} else finished.text
    tokens, reason = finished.usage.completion_tokens, finished.finish_reason
    if item.metric == "cer":
        counts = metrics.edit_counts(item.reference, answer)
        return ItemResult(
            item, answer, counts.errors / counts.length, seconds, reason, tokens,
            counts.errors, counts.length, counts.word_errors, counts.words,
        )  # fmt: skip
    return ItemResult(item, answer, _value(item, answer), seconds, reason, tokens)


def _value(item: Item, answer: str) -> float:
    if item.grade is not None:
        return item.grade(answer)
    if item.metric == "anls":
        return metrics.anls(item.reference, answer)
    if item.metric == "iou":
        return metrics.hit(item.boxes[0], boxes_of(answer))
    if item.metric == "boxes":
        return metrics.boxes_f1(item.boxes, boxes_of(answer))
    if item.metric == "absent":
        return float(not boxes_of(answer))
    return metrics.exact(item.reference, answer)
