"""``nano_lab plot``: the plots of a run, drawn anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The -o folder of train.")],
) -> None:
    """Draw RUN/plots anew from its log."""
    from nano_lab.pretraining.run import draw_run

    for path in draw_run(run):
        typer.echo(path)
