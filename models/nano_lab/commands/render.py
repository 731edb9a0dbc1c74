"""``nano_lab render``: pictures with questions and answers, as training and test data."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dvl2_cli.errors import UsageError


class SplitName(StrEnum):
    """Which fonts, layouts, words and combinations are drawn."""

    train = "train"
    test = "test"


def render(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(metavar="KIND", help='Kinds, or "all".', show_default=False),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Samples per kind.")] = 10,
    seed: Annotated[int, typer.Option("--seed", "-s", min=0, help="Number of the first.")] = 0,
    split: Annotated[
        SplitName, typer.Option("--split", help="Seen or held out.")
    ] = SplitName.train,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    fonts: Annotated[bool, typer.Option("--fonts", help="Only list packages to install.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.")] = False,
) -> None:
    """Render training and test pictures with their conversations in data.jsonl.

    The same kind, number and split give the same sample; other numbers never do. The test
    split uses fonts, layouts, words and combinations that training never sees.
    """
    from nano_lab.rendering.fonts import missing_packages
    from nano_lab.rendering.render import KINDS

    missing = missing_packages()
    if fonts:
        typer.echo(" ".join(missing))
        return
    known = ", ".join(KINDS)
    if not kinds:
        raise UsageError("render: name at least one kind", f"Kinds: {known}, or all.")
    if output is None:
        raise UsageError("render: say where to write with -o FOLDER")
    if missing and not quiet:
        typer.echo(
            f"dvl2: {len(missing)} font packages are not installed, so the fonts vary less "
            "(`python -m nano_lab render --fonts` lists them)",
            err=True,
        )
    chosen = list(KINDS) if kinds == ["all"] else kinds
    data = _write(chosen, count, seed, split, output, quiet)
    if not json:
        typer.echo(str(data))
        return
    from dvl2_cli.ui.output import Output
    from nano_lab.rendering import VERSION

    line = {"data": str(data), "kinds": chosen, "samples": count * len(chosen), "seed": seed}
    line |= {"split": split.value, "renderer": VERSION}
    Output().json({"schema": "nano_lab.render/1", **line})


def _write(
    kinds: list[str], count: int, seed: int, split: SplitName, output: Path, quiet: bool
) -> Path:
    """Render and write; the file of conversations."""
    from nano_lab.rendering.export import DATA_FILE, export

    total = count * len(kinds)
    counted = sys.stderr.isatty() and not quiet
    for done, _ in enumerate(export(kinds, count, seed, split.value, output), 1):
        if counted:
            typer.echo(f"\r{done}/{total}", nl=False, err=True)
    if counted:
        typer.echo("\r", nl=False, err=True)
    return output / DATA_FILE
