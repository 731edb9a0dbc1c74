"""Charts that matplotlib draws; the truth is its own text artists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nano_lab.foreign.drawing.catalogue import SANS
from nano_lab.foreign.drawing.document import Word

STYLES = ("ggplot", "seaborn-v0_8-whitegrid", "dark_background", "fivethirtyeight")


def draw_plot(content: Mapping[str, Any], file: Path, seed: int, dpi: int) -> list[Word]:
    """Write a chart of ``content["bars"]`` to ``file`` as PNG.

    Returns:
        Every printed word of it, with its box in pixels, y down; a rotated text is one word.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names, values = zip(*content["bars"], strict=True)
    with pyplot.style.context(STYLES[seed % len(STYLES)]):
        mpl.rcParams["font.family"] = SANS[seed % len(SANS)]
        figure, axes = pyplot.subplots(figsize=(6.4, 4.2), dpi=dpi, layout="constrained")
        if seed % 3 == 0:
            axes.plot(names, values, marker="o")
        elif seed % 3 == 1:
            axes.bar_label(axes.bar(names, values))
        else:
            axes.barh(names, values)
        axes.set_title(content["title"])
        axes.set_xlabel(content["unit"])
        figure.savefig(file)
        height = figure.bbox.height
        words = []
        for artist in [axes.title, axes.xaxis.label, *axes.texts, *_shown_ticks(axes)]:
            box = artist.get_window_extent()
            words.append(
                Word(artist.get_text(), (box.x0, height - box.y1, box.x1, height - box.y0))
            )
        pyplot.close(figure)
    return words


def _shown_ticks(axes: Any) -> Iterator[Any]:
    """The labels of the ticks that are drawn: matplotlib makes some beyond its axes."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True):
            if low <= place <= high:
                yield label
