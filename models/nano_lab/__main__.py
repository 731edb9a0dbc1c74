"""``python -m nano_lab``: how nano is made."""

from __future__ import annotations

import typer

from dvl2_cli.app import main
from nano_lab.commands.calibrate import calibrate
from nano_lab.commands.eval import evaluate
from nano_lab.commands.plot import plot
from nano_lab.commands.render import render
from nano_lab.commands.train import train

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="How nano is made: render pictures, train on them, measure the result.",
    pretty_exceptions_enable=False,
)
app.command()(render)
app.command()(train)
app.command()(plot)
app.command(name="eval")(evaluate)
app.command()(calibrate)

if __name__ == "__main__":
    main(app)
