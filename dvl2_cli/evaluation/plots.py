"""Pictures of a run's figures, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvl2_cli.evaluation.item import ItemResult
from dvl2_cli.evaluation.summary import TITLES, EvalSummary
from dvl2_cli.figures import new_figure, save_figure

SCORES, ERROR_RATES = "scores.png", "cer.png"


def write_plots(
    summaries: Sequence[EvalSummary], results: Sequence[ItemResult], folder: Path, title: str
) -> list[Path]:
    """Write ``scores.png``, and ``cer.png`` where text was read; returns their paths.

    Raises:
        OutputError: the folder cannot be written.
    """
    written = []
    scores = [summary for summary in summaries if summary.metric != "cer"]
    texts = [summary for summary in summaries if summary.metric == "cer"]
    if scores:
        written.append(save_figure(_bars(scores, title), folder / SCORES))
    if texts:
        written.append(save_figure(_error_rates(texts, results, title), folder / ERROR_RATES))
    return written


def _bars(summaries: Sequence[EvalSummary], title: str) -> Any:
    figure = new_figure(8, 1.2 + 0.45 * len(summaries))
    axes = figure.add_subplot()
    places = range(len(summaries))
    means = [summary.mean for summary in summaries]
    spread = [
        [max(0.0, s.mean - s.low) for s in summaries],
        [max(0.0, s.high - s.mean) for s in summaries],
    ]
    axes.barh(places, means, xerr=spread, color="#4c78a8", capsize=3)
    for place, summary in zip(places, summaries, strict=True):
        if summary.bar is not None:
            axes.plot([summary.bar] * 2, [place - 0.4, place + 0.4], color="#d62728", lw=2)
    axes.set_yticks(places, [f"{s.group} ({TITLES[s.metric]}, n={s.n})" for s in summaries])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("mean with 95 % interval; red: aim")
    axes.set_title(title)
    return figure


def _error_rates(
    summaries: Sequence[EvalSummary], results: Sequence[ItemResult], title: str
) -> Any:
    figure = new_figure(4.5 * len(summaries), 3.6)
    for index, summary in enumerate(summaries, 1):
        rates = [min(1.0, o.score) for o in results if o.item.group == summary.group]
        axes = figure.add_subplot(1, len(summaries), index)
        axes.hist(rates, bins=25, color="#4c78a8")
        axes.axvline(summary.mean, color="black", lw=1.5, label=f"mean {summary.mean:.3f}")
        if summary.bar is not None:
            axes.axvline(summary.bar, color="#d62728", lw=1.5, label=f"aim {summary.bar:g}")
        axes.set_title(f"{summary.group} (n={summary.n})")
        axes.set_xlabel("CER of a picture (over 1 shown as 1)")
        axes.legend()
    figure.suptitle(title)
    return figure
