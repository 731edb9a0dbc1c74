"""``dvl2 ls``: the models on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dvl2_cli.results.models import LsRow
    from dvl2_cli.store.inventory import Copy

app = typer.Typer(add_completion=False)

_HEADINGS = ("name", "quant", "size", "revision", "last used", "")


@app.command()
def ls(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Use no colour, as with NO_COLOR=1.")
    ] = False,
) -> None:
    """List the models on this machine, every copy on its own line.

    A command without --model uses the one that is marked "default".

    Examples:
      dvl2 ls
      dvl2 ls --json | jq -r .folder
    """
    from dvl2_cli.store.inventory import all_copies

    copies, chosen = all_copies(), _default_folder()
    if json:
        from dvl2_cli.results.lines import write_json_line

        for copy in copies:
            write_json_line(sys.stdout, _json_row(copy, chosen).as_json())
        return
    rows = [_row(copy, chosen) for copy in copies]
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    _print_table(rows, no_color)


def _default_folder() -> Path | None:
    from dvl2_cli.engine.session import Session
    from dvl2_cli.errors import Dvl2Error

    try:
        return Session(remember=False).resolved.folder
    except Dvl2Error as error:
        from dvl2_cli.ui.control import printable

        typer.echo(f"dvl2: no model is the default: {printable(error.message)}", err=True)
        return None


def _json_row(copy: Copy, chosen: Path | None) -> LsRow:
    from dvl2_cli.results.models import LsRow

    return LsRow(
        name=copy.name,
        id=copy.id,
        quant=copy.quant,
        revision=copy.revision,
        state=copy.state,
        size=copy.size,
        folder=copy.folder,
        pulled_at=copy.pulled_at,
        used_at=copy.used_at,
        default=copy.folder == chosen,
    )


def _row(copy: Copy, chosen: Path | None) -> tuple[str, ...]:
    from dvl2_cli.sizes import format_size
    from dvl2_cli.ui.ages import age
    from dvl2_cli.ui.control import printable

    remark = "default" if copy.folder == chosen else ""
    if copy.state == "incomplete":
        remark = f"incomplete: dvl2 pull {copy.name}"
    elif copy.state == "bundled":
        remark = "bundled, default" if remark else "bundled"
    revision = (copy.revision or "-")[:8]
    return tuple(
        printable(cell)
        for cell in (
            copy.name,
            copy.quant,
            format_size(copy.size),
            revision,
            age(copy.used_at),
            remark,
        )
    )


def _print_table(rows: list[tuple[str, ...]], no_color: bool) -> None:
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.console import Console
    from dvl2_cli.ui.tables import print_table

    styles = ["bold" if row[-1].endswith("default") else "" for row in rows]
    console = Console(CommonOptions(no_color=no_color)).rich_out()
    print_table(console, _HEADINGS, rows, right=(2,), styles=styles)
