"""``dvl2 caption``: descriptions of one picture or of thousands."""

from __future__ import annotations

from typing import Annotated

import typer

from dvl2_cli import completing
from dvl2_cli.errors import UsageError
from dvl2_cli.options import (
    AUTO,
    CommonOptions,
    ExcludeOption,
    ParallelOption,
    PasswordOption,
    with_common_options,
)

app = typer.Typer(add_completion=False)

_FILES = "Files"
_WORDING = "Wording"


@app.command()
@with_common_options
def caption(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Images, folders, globs, URLs; - is stdin.",
        ),
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look into subfolders.")
    ] = False,
    exclude: ExcludeOption = None,
    password: PasswordOption = None,
    length: Annotated[
        str,
        typer.Option(
            "--length",
            metavar="LENGTH",
            help="short, normal or long.",
            rich_help_panel=_WORDING,
        ),
    ] = "normal",
    prefix: Annotated[
        str,
        typer.Option("--prefix", help="Begin every caption with this.", rich_help_panel=_WORDING),
    ] = "",
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="WORD",
            help="Add this word where it is missing.",
            rich_help_panel=_WORDING,
        ),
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option(
            "--avoid", metavar="WORD", help="Leave this word out.", rich_help_panel=_WORDING
        ),
    ] = None,
    template: Annotated[
        str,
        typer.Option(
            "--template",
            help="Join {caption} {name} {stem} {dir} {tags} {width} {height}.",
            rich_help_panel=_WORDING,
        ),
    ] = "{caption}",
    grounded: Annotated[
        bool,
        typer.Option(
            "--grounded",
            help="Give the place of what is named, as boxes.",
            rich_help_panel=_WORDING,
        ),
    ] = False,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="text, json, ndjson, csv or parquet.",
            rich_help_panel=_FILES,
            autocompletion=completing.formats,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|-",
            help="Write one file; its suffix is the format, as captions.csv.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    sidecar: Annotated[
        str | None,
        typer.Option(
            "--sidecar",
            metavar="SUFFIX",
            help="Write a file beside each picture: .txt or .caption.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    existing: Annotated[
        str,
        typer.Option(
            "--existing",
            metavar="ACTION",
            help="If that file exists: skip, overwrite, append, prepend or error.",
            rich_help_panel=_FILES,
        ),
    ] = "skip",
    xmp: Annotated[
        bool,
        typer.Option(
            "--xmp", help="Write the caption into the picture's .xmp file.", rich_help_panel=_FILES
        ),
    ] = False,
    dedupe: Annotated[
        bool, typer.Option("--dedupe", help="Describe equal pictures once.", rich_help_panel=_FILES)
    ] = False,
    parallel: ParallelOption = AUTO,
    batch_size: Annotated[int | None, typer.Option("--batch-size", hidden=True)] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show what would be done, and do nothing.", rich_help_panel=_FILES
        ),
    ] = False,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Show what the model is asked, on stderr.")
    ] = False,
    *,
    common: CommonOptions,
) -> None:
    """Describe one image, or all in a folder.

    On a terminal it prints text. In a pipe it prints a line of JSON for each picture; -f text
    prints text there too. A killed run goes on where it stopped.

    Examples:
      dvl2 caption photo.jpg
      dvl2 caption photos/ -r -o captions.csv
      dvl2 caption photos/ --sidecar .txt --length short
    """
    if batch_size is not None:
        raise UsageError("--batch-size is gone", f"Give --parallel {batch_size}, or auto.")
    from dvl2_cli.commands.caption_task import CaptionTask
    from dvl2_cli.commands.sources import InputOptions
    from dvl2_cli.tasks.captioning.wording import Wording
    from dvl2_cli.writers.caption_sidecar import Sidecars

    wording = Wording(
        length,  # type: ignore[arg-type]  # checked by Wording.check
        prefix,
        tuple(include or ()),
        tuple(avoid or ()),
        template,
        grounded,
    )
    task = CaptionTask(
        wording=wording,
        sidecars=None if sidecar is None else Sidecars(sidecar, existing),  # type: ignore[arg-type]
        form="ndjson" if common.json else form,
        output=output,
        xmp=xmp,
        dedupe=dedupe,
        parallel=parallel,
        dry_run=dry_run,
    )
    options = InputOptions(recursive=recursive, exclude=tuple(exclude or ()), password=password)
    task.run(paths, options, common, show_prompt=show_prompt)
