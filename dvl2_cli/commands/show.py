"""``dvl2 show``: what a model is made of."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dvl2_cli import completing

if TYPE_CHECKING:
    from pathlib import Path

    from dvl2_cli.results.models import ShowRow
    from dvl2_cli.store.checkpoint import CheckpointInfo
    from dvl2_cli.store.problems import Problem
    from dvl2_cli.store.resolve import Resolved

app = typer.Typer(add_completion=False)


@app.command()
def show(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Name, folder or hub id; the default model if left out.",
            autocompletion=completing.local_models,
        ),
    ] = None,
    quant: Annotated[
        str | None,
        typer.Option("--quant", metavar="FORMAT", help="Show this copy, as none or int4."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", metavar="COMMIT", help="Show this commit.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Use no colour, as with NO_COLOR=1.")
    ] = False,
) -> None:
    """Show what a model is made of, and everything that is wrong with its files.

    It reads only the headers of the files. The exit code is 3 if dvl2 cannot load the model.

    Examples:
      dvl2 show nano
      dvl2 show tiny --quant int4
    """
    from dataclasses import replace

    from dvl2_cli.engine.session import Session
    from dvl2_cli.store.checkpoint import examine
    from dvl2_cli.store.resolve import ModelSpec, resolve

    spec = replace(Session(remember=False).spec, revision=revision)
    if model is not None:
        spec = ModelSpec(model, "the command line", quant, revision, spec.cuda)
    resolved = resolve(replace(spec, quant=quant), remember=False)
    info, problems = examine(resolved.folder)
    if json:
        from dvl2_cli.results.lines import write_json_line

        write_json_line(sys.stdout, _json_row(resolved, info, problems).as_json())
    else:
        _print(resolved, info, no_color)
        _print_problems(problems)
    if problems:
        raise typer.Exit(3)


def _json_row(resolved: Resolved, info: CheckpointInfo | None, problems: list[Problem]) -> ShowRow:
    from dvl2_cli.results.models import ShowRow, SizedFile
    from dvl2_cli.row import plain
    from dvl2_cli.store.contents import licence_of, parts_of

    return ShowRow(
        id=resolved.id,
        revision=resolved.revision,
        quant=resolved.quant,
        folder=resolved.folder,
        reason=resolved.reason,
        licence=licence_of(resolved),
        architecture=plain(info.architecture) if info else None,
        parameters=info.parameters if info else None,
        active_parameters=info.active_parameters if info else None,
        context_length=info.architecture.decoder.context_length if info else None,
        policy=info.policy if info else None,
        parts=parts_of(info) if info else [],
        files=[SizedFile(name, size) for name, size in _files(resolved.folder)],
        problems=problems,
    )


def _files(folder: Path) -> list[tuple[str, int]]:
    return [(path.name, path.stat().st_size) for path in sorted(folder.iterdir()) if path.is_file()]


def _facts(resolved: Resolved, info: CheckpointInfo | None) -> list[tuple[str, str]]:
    from dvl2_cli.store.contents import describe, licence_of

    facts = [
        ("model", resolved.id),
        ("revision", resolved.revision or "-"),
        ("quantisation", resolved.quant),
        ("licence", licence_of(resolved) or "not stated"),
        ("folder", str(resolved.folder)),
    ]
    return facts + (describe(info) if info else []) + _policy(info)


def _policy(info: CheckpointInfo | None) -> list[tuple[str, str]]:
    if info is None:
        return []
    return [(f"policy: {name}", value) for name, value in info.policy.rows()]


def _print(resolved: Resolved, info: CheckpointInfo | None, no_color: bool) -> None:
    from dvl2_cli.sizes import format_size
    from dvl2_cli.store.contents import parts_of
    from dvl2_cli.ui.control import printable

    facts = _facts(resolved, info)
    parts = [
        (
            part.name,
            f"{part.tensors:,}",
            f"{part.parameters:,}",
            format_size(part.nbytes),
            " ".join(part.formats),
        )
        for part in (parts_of(info) if info else [])
    ]
    files = [(name, format_size(size)) for name, size in _files(resolved.folder)]
    if not sys.stdout.isatty():
        for row in [*facts, *parts, *files]:
            typer.echo("\t".join(printable(cell) for cell in row))
        return
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.console import Console
    from dvl2_cli.ui.tables import print_facts, print_table

    console = Console(CommonOptions(no_color=no_color)).rich_out()
    print_facts(console, [(name, printable(value)) for name, value in facts])
    headings = ("part", "tensors", "parameters", "size", "stored as")
    for columns, rows, right in ((headings, parts, (1, 2, 3)), (("file", "size"), files, (1,))):
        cells = [tuple(printable(cell) for cell in row) for row in rows]
        if cells:
            print_table(console, columns, cells, right=right)


def _print_problems(problems: list[Problem]) -> None:
    from dvl2_cli.ui.control import printable

    for problem in problems:
        typer.echo(f"dvl2: {printable(problem.message)}", err=True)
        typer.echo(f"  {printable(problem.hint)}", err=True)
