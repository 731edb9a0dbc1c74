"""``dvl2 doctor``: whether everything works here, what was chosen and why, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

_COUNTED = {"ok": "fine", "warning": "to look at", "failed": "failed"}


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Use no colour, as with NO_COLOR=1.")
    ] = False,
) -> None:
    """Check the installation, this machine, and which models run here.

    It asks the bundled nano about a small picture in every way of decoding that this machine
    has, and uses no network. Each failed check names its remedy, and the exit code is 1.

    Examples:
      dvl2 doctor
      dvl2 doctor --json | jq .checks
    """
    from dvl2_cli.commands.doctor_table import render_checks
    from dvl2_cli.doctor.check import Status
    from dvl2_cli.doctor.report import Report, examine
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.console import Console
    from dvl2_cli.ui.output import Output

    console = Console(CommonOptions(no_color=no_color))
    report = Report()
    if json:
        for _ in examine(report):
            pass
        Output().json(report.row().as_json())
    else:
        render_checks(examine(report), console.rich_out())
        counts = [sum(check.status == status for check in report.checks) for status in Status]
        words = [f"{n} {_COUNTED[status]}" for n, status in zip(counts, Status, strict=True) if n]
        console.rich_out().print("\n" + ", ".join(words))
    if report.status is Status.FAILED:
        raise typer.Exit(1)
