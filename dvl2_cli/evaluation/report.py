"""The summaries as a table, and the answers as JSON lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dvl2_cli.evaluation.item import ItemResult, Metric
from dvl2_cli.evaluation.summary import TITLES, EvalSummary
from dvl2_cli.row import JsonRow
from dvl2_cli.units import Count, Seconds

HEADINGS = ("suite", "metric", "n", "mean", "95 % interval", "aim", "met", "WER", "s each")


def table_row(summary: EvalSummary) -> tuple[str, ...]:
    """The cells of a summary under HEADINGS."""
    met = {None: "", True: "yes", False: "no"}[summary.met]
    sign = "≤" if summary.metric == "cer" else "≥"
    return (
        summary.group,
        TITLES[summary.metric],
        str(summary.n),
        f"{summary.mean:.4f}" if summary.metric == "cer" else f"{summary.mean:.3f}",
        f"{summary.low:.3f} to {summary.high:.3f}",
        "" if summary.bar is None else f"{sign} {summary.bar:g}",
        met,
        "" if summary.wer is None else f"{summary.wer:.3f}",
        f"{summary.seconds_per_item:.2f}",
    )


@dataclass(frozen=True, slots=True)
class AnswerRow(JsonRow):
    """One answer and its score."""

    schema = "dvl2.eval.answer/1"
    heading = "One line of the file of dvl2 eval --answers"

    id: str
    group: str
    metric: Metric
    question: str
    reference: str
    answer: str
    score: float
    seconds: Seconds
    tokens: Count
    finish_reason: str


def answer_row(result: ItemResult) -> dict[str, Any]:
    """One answer for ``--answers``."""
    item = result.item
    return AnswerRow(
        id=item.id,
        group=item.group,
        metric=item.metric,
        question=item.question,
        reference=item.reference,
        answer=result.answer,
        score=result.score,
        seconds=round(result.seconds, 4),
        tokens=result.tokens,
        finish_reason=result.finish_reason,
    ).as_json()
