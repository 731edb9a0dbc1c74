"""Figures as PNG files, by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvl2_cli.files import atomic_write


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    # The object interface needs no display and leaves no global state behind.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: Path) -> Path:
    """Write ``figure`` as a PNG, and return ``path``.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=110)
    return path
