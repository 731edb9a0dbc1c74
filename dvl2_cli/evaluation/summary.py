"""Means with bootstrap confidence intervals over the results of a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dvl2_cli.evaluation.item import ItemResult, Metric
from dvl2_cli.row import JsonRow
from dvl2_cli.units import Count, Seconds

RESAMPLES = 2000
_SEED = 20261124
TITLES: dict[Metric, str] = {
    "cer": "CER",
    "anls": "ANLS",
    "iou": "acc@0.5",
    "boxes": "box F1@0.5",
    "absent": "no box",
    "exact": "accuracy",
    "objects": "object F1",
}


@dataclass(frozen=True, slots=True)
class EvalSummary(JsonRow):
    """One row of the report.

    ``mean`` is the mean score; for CER all edits over all characters. ``low`` and ``high``
    are the bounds of its 95 % interval (percentile bootstrap over the items). ``wer`` only
    with CER. ``bar`` is the value aimed for, where there is one.
    """

    schema = "dvl2.eval/1"
    heading = "One line of dvl2 eval --json"
    MEMBERS: ClassVar = (
        "group", "metric", "n", "mean", "low", "high", "seconds_per_item", "wer", "bar", "met",
    )  # fmt: skip

    group: str
    metric: Metric
    n: Count
    mean: float
    low: float
    high: float
    seconds_per_item: Seconds
    wer: float | None = None
    bar: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the mean reaches the bar; None without one."""
        if self.bar is None:
            return None
        return self.mean <= self.bar if self.metric == "cer" else self.mean >= self.bar


def summarise_part(
    name: str, results: Sequence[ItemResult], bar: float | None
) -> list[EvalSummary]:
    """A summary of every group of a part, and before them one of the part's main metric.

    The main metric is that of the first result; only its groups are held against ``bar``.
    """
    if not results:
        return []
    groups: dict[str, list[ItemResult]] = {}
    for result in results:
        groups.setdefault(result.item.group, []).append(result)
    main = results[0].item.metric
    rows = [
        summarise(group, bar if group[0].item.metric == main else None) for group in groups.values()
    ]
    alike = [result for result in results if result.item.metric == main]
    if sum(row.metric == main for row in rows) > 1:
        rows.insert(0, summarise(alike, bar, name))
    return rows


def summarise(
    results: Sequence[ItemResult], bar: float | None = None, group: str | None = None
) -> EvalSummary:
    """The summary of results that share a metric, under ``group`` or the first one's group.

    Raises:
        ValueError: there are no results.
    """
    if not results:
        raise ValueError("nothing to summarise")
    first = results[0].item
    if first.metric == "cer":
        upper = np.array([result.errors for result in results], dtype=np.float64)
        lower = np.array([result.length for result in results], dtype=np.float64)
    else:
        upper = np.array([result.score for result in results], dtype=np.float64)
        lower = np.ones(len(results))
    low, high = _interval(upper, lower)
    words = sum(result.words for result in results)
    return EvalSummary(
        group or first.group,
        first.metric,
        len(results),
        float(upper.sum() / lower.sum()),
        low,
        high,
        sum(result.seconds for result in results) / len(results),
        sum(result.word_errors for result in results) / words if words else None,
        bar,
    )


def _interval(upper: np.ndarray, lower: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of sum(upper) / sum(lower) under resampling of the items."""
    generator = np.random.default_rng(_SEED)
    picks = generator.integers(0, len(upper), (RESAMPLES, len(upper)))
    ratios = upper[picks].sum(axis=1) / lower[picks].sum(axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(low), float(high)
