"""``dvl2 rm``: delete models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dvl2_cli import completing

if TYPE_CHECKING:
    from dvl2_cli.store.inventory import Copy

app = typer.Typer(add_completion=False)


@app.command()
def rm(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Names or hub ids of models here.",
            metavar="MODEL",
            autocompletion=completing.pulled_models,
        ),
    ],
    quant: Annotated[
        str | None,
        typer.Option("--quant", metavar="FORMAT", help="Delete only this copy, as int4."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", metavar="COMMIT", help="Delete only this commit.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Delete pulled models and quantised copies from this machine.

    It never deletes the bundled nano itself or folders of your own.

    Examples:
      dvl2 rm tiny
      dvl2 rm small --quant int8
      dvl2 rm nano --quant int4 -y
    """
    from dvl2_cli.store.inventory import delete

    copies = [copy for model in models for copy in _matching(model, quant, revision)]
    copies = list({copy.folder: copy for copy in copies}.values())
    if not yes:
        _ask(copies)
    for copy in copies:
        delete(copy)
        _report(copy, json)


def _matching(model: str, quant: str | None, revision: str | None) -> list[Copy]:
    from dvl2_cli.errors import ModelError, UsageError
    from dvl2_cli.store.inventory import all_copies, converted_copies
    from dvl2_cli.store.names import NANO_ID, parse_name

    if any(copy.id == model for copy in converted_copies()):  # of a folder, as dvl2 ls names it
        wanted = model
    else:
        meaning = parse_name(model)
        if isinstance(meaning, Path):
            raise UsageError(
                f"{meaning} is your own folder", "dvl2 rm deletes only what dvl2 made or pulled."
            )
        wanted = NANO_ID if meaning is None else meaning.text
    found = [
        copy
        for copy in all_copies()
        if copy.id == wanted
        and copy.state != "bundled"
        and (quant is None or copy.quant == quant)
        and (revision is None or (copy.revision or "").startswith(revision))
    ]
    if not found and wanted == NANO_ID and quant in (None, "none"):
        raise UsageError(
            "nano is part of dvl2 and cannot be deleted", "It goes with: pip uninstall"
        )
    if not found:
        which = "".join(f" {word}" for word in (quant, revision) if word)
        raise ModelError(f"there is no{which} {wanted} on this machine", "See: dvl2 ls")
    return found


def _ask(copies: list[Copy]) -> None:
    from dvl2_cli.errors import CancelledError, UsageError
    from dvl2_cli.sizes import format_size

    if not sys.stdin.isatty():
        raise UsageError("dvl2 rm asks before it deletes, and this is not a terminal", "Add -y.")
    for copy in copies:
        typer.echo(f"  {_title(copy)}  {format_size(copy.size)}", err=True)
    total = format_size(sum(copy.size for copy in copies))
    if not typer.confirm(f"Delete {total}?", err=True):
        raise CancelledError("nothing was deleted")


def _report(copy: Copy, json: bool) -> None:
    from dvl2_cli.sizes import format_size

    if not json:
        typer.echo(f"dvl2: deleted {_title(copy)}, {format_size(copy.size)}", err=True)
        return
    from dvl2_cli.results.lines import write_json_line
    from dvl2_cli.results.models import RmRow

    row = RmRow(copy.id, copy.quant, copy.revision, copy.size)
    write_json_line(sys.stdout, row.as_json())


def _title(copy: Copy) -> str:
    from dvl2_cli.ui.control import printable

    revision = f"@{copy.revision[:8]}" if copy.revision else ""
    state = " (incomplete)" if copy.state == "incomplete" else ""
    return printable(f"{copy.id}{revision} {copy.quant}{state}")
