"""``nano_lab calibrate``: from which probability on nano's answers are doubtful."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A checkpoint of nano.")],
) -> None:
    """Measure on training pictures, write the threshold into FOLDER and print it."""
    from nano_lab.evaluation import calibration

    typer.echo(calibration.calibrate(folder).text)
