"""Pictures of a run, drawn from its log: losses, what is right, expert load, rates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dvl2_cli.errors import InputError
from dvl2_cli.figures import new_figure, save_figure
from dvl2_cli.files import output_error
from dvl2_cli.finetuning.progress import LOG, read_log

FOLDER = "plots"
# A short run is drawn step by step; a longer one as means of at least so many steps, in at
# most so many points.
SHORT, MEAN_OF, POINTS = 60, 10, 200
_COLUMNS = 3
# What the kinds of losses are called in plots.
TITLES = {"language": "answers"}

Floats = npt.NDArray[np.float64]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Curve:
    """Values by step, both [N]; ``marks`` are single measurements, drawn as dots.

    A ``share`` is drawn from 0 to 1.
    """

    title: str
    steps: Floats
    values: Floats
    marks: tuple[tuple[float, float], ...] = ()
    share: bool = False


def draw(run: Path, titles: Mapping[str, str] = TITLES, errors: Collection[str] = ()) -> list[Path]:
    """Draw the plots of the run in the folder ``run`` anew; returns their paths.

    Args:
        run: its ``-o`` folder.
        titles: of the kinds of losses.
        errors: kinds whose "right" counts what is wrong, which may be more than all.

    Raises:
        InputError: the folder holds no log with a step in it.
        OutputError: the plots cannot be written.
        ImportError: matplotlib is not installed.
    """
    records: list[Record] = list(read_log(run / LOG))
    steps = [record for record in records if record.get("kind") == "step"]
    if not steps:
        raise InputError(f"{run / LOG} holds no step of a run", "Give the -o folder of a run.")
    held_out = [record for record in records if record.get("kind") == "held out"]
    folder = run / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    starts = _stage_starts(steps)
    panels = {
        "loss": _by_kind(steps, "losses", held_out, "loss", titles),
        "right": [
            replace(curve, share=curve.title not in {titles.get(kind) for kind in errors})
            for curve in _by_kind(steps, "right", held_out, "right", titles)
        ],
        "rates": _rates(steps),
    }
    headings = {
        "loss": "loss of a step, by kind",
        "right": "share that is right, by kind",
        "rates": "learning rate, gradient and speed",
    }
    written = [
        save_figure(_panels(curves, headings[name], starts), folder / f"{name}.png")
        for name, curves in panels.items()
        if curves
    ]
    loaded = [record for record in steps if record.get("expert_load")]
    if loaded:
        written.append(save_figure(_load(loaded), folder / "experts.png"))
    return written


def _by_kind(
    steps: Sequence[Record],
    key: str,
    held_out: Sequence[Record],
    measured: str,
    titles: Mapping[str, str],
) -> list[Curve]:
    marks = [(record["total"], record[measured]) for record in held_out]
    tables = [(record["total"], record.get(key, {})) for record in steps]
    kinds = dict.fromkeys(kind for _, table in tables for kind in table)
    return [
        _curve(
            titles.get(kind, kind),
            [(total, table[kind]) for total, table in tables if kind in table],
            marks if kind == "language" else (),
        )
        for kind in kinds
    ]


def _rates(steps: Sequence[Record]) -> list[Curve]:
    pairs = {
        "learning rate": [(r["total"], r["rate"]) for r in steps],
        "norm of the gradient": [(r["total"], r["gradient"]) for r in steps if "gradient" in r],
        "tokens per second": [(r["total"], r["tokens"] / r["seconds"]) for r in steps],
    }
    return [_curve(title, found) for title, found in pairs.items() if found]


def _curve(
    title: str, pairs: Sequence[tuple[float, float]], marks: Sequence[tuple[float, float]] = ()
) -> Curve:
    table = np.array(pairs, np.float64)
    return Curve(title, table[:, 0], table[:, 1], tuple(marks))


def _stage_starts(steps: Sequence[Record]) -> dict[str, float]:
    """The first step of every stage, by its name."""
    starts: dict[str, float] = {}
    for record in steps:
        starts.setdefault(record["stage"], record["total"])
    return starts


def _panels(curves: Sequence[Curve], title: str, starts: dict[str, float]) -> Any:
    columns = min(_COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure = new_figure(1 + 4.2 * columns, 0.6 + 2.9 * rows)
    begin = min(curve.steps[0] for curve in curves)
    end = max(curve.steps[-1] for curve in curves)
    room = 0.02 * (end - begin) + 0.5
    for index, curve in enumerate(curves, 1):
        axes = figure.add_subplot(rows, columns, index)
        _draw_curve(axes, curve)
        _draw_stages(axes, starts, room, labelled=index <= columns)
        axes.set_title(curve.title, fontsize=10)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
        axes.set_xlim(begin - room, end + room)
        if curve.share:
            axes.set_ylim(0, 1)
        else:
            axes.set_ylim(bottom=0)
    figure.suptitle(title, fontsize=12)
    return figure


def _draw_curve(axes: Any, curve: Curve) -> None:
    steps, low, mean, high = binned(curve.steps, curve.values)
    axes.fill_between(steps, low, high, color="#4c78a8", alpha=0.22, lw=0)
    axes.plot(steps, mean, color="#4c78a8", lw=1.4, label="training")
    # A few wild steps must not flatten the rest.
    axes.set_ylim(top=1.05 * float(max(np.quantile(high, 0.98), mean[-1], 1e-12)))
    if curve.marks:
        x, y = zip(*curve.marks, strict=True)
        axes.plot(x, y, "o-", color="#d62728", ms=3.5, lw=1, label="held out")
        axes.set_ylim(top=max(axes.get_ylim()[1], 1.05 * max(y)))
        axes.legend(fontsize=8)


def _draw_stages(axes: Any, starts: dict[str, float], room: float, *, labelled: bool) -> None:
    if len(starts) < 2:
        return
    for name, start in starts.items():
        axes.axvline(start, color="black", lw=0.6, ls=":")
        if labelled:
            axes.text(
                start + 0.4 * room, 0.99, name, fontsize=7, va="top", rotation=90,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip


def _load(steps: Sequence[Record]) -> Any:
    """One map per layer: share of the tokens of every expert over time, 1 being even."""
    # Stages of another model do not mix: the last layout counts.
    layers = len(steps[-1]["expert_load"])
    experts = len(steps[-1]["expert_load"][0])
    steps = [r for r in steps if [len(x) for x in r["expert_load"]] == [experts] * layers]
    numbers = np.array([record["total"] for record in steps], np.float64)
    table = np.array([record["expert_load"] for record in steps], np.float64) * experts
    edges = _edges(len(numbers))
    means = np.add.reduceat(table, edges[:-1]) / np.diff(edges)[:, None, None]
    columns = min(4, layers)
    rows = math.ceil(layers / columns)
    figure = new_figure(1.5 + 3.2 * columns, 0.8 + (1.4 + 0.08 * experts) * rows)
    image = None
    for layer in range(layers):
        axes = figure.add_subplot(rows, columns, layer + 1)
        image = axes.imshow(
            means[:, layer].T, aspect="auto", origin="lower", cmap="RdBu_r", vmin=0, vmax=2,
            extent=(numbers[0] - 0.5, numbers[-1] + 0.5, -0.5, experts - 0.5),
            interpolation="nearest",
        )  # fmt: skip
        axes.set_title(f"mixture layer {layer + 1}", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("step", fontsize=8)
        axes.set_ylabel("expert", fontsize=8)
    figure.colorbar(image, ax=figure.axes, shrink=0.8, label="load (1: even)")
    figure.suptitle("expert load", fontsize=12)
    return figure


def binned(steps: Floats, values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Groups of neighbours: mean step, 10 % quantile, mean, 90 % quantile."""
    edges = _edges(len(steps))
    groups = [values[a:b] for a, b in itertools.pairwise(edges)]
    places = [steps[a:b].mean() for a, b in itertools.pairwise(edges)]
    return (
        np.array(places),
        np.array([np.quantile(group, 0.1) for group in groups]),
        np.array([group.mean() for group in groups]),
        np.array([np.quantile(group, 0.9) for group in groups]),
    )


def _edges(count: int) -> npt.NDArray[np.int64]:
    points = count if count <= SHORT else min(POINTS, max(SHORT, count // MEAN_OF))
    return np.linspace(0, count, points + 1).astype(np.int64)
