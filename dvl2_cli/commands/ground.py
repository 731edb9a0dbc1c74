"""``dvl2 ground``: boxes of what phrases name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from dvl2_cli import completing
from dvl2_cli.options import (
    AUTO,
    CommonOptions,
    ExcludeOption,
    ParallelOption,
    PasswordOption,
    with_common_options,
)

if TYPE_CHECKING:
    from typing import Any

_AUTOMATIC = "auto"


class OptionalValueCommand(TyperCommand):
    """Lets ``--draw`` stand alone at the end or before another option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a ``--draw`` without a file name the automatic one."""
        filled = []
        for index, argument in enumerate(args):
            following = args[index + 1] if index + 1 < len(args) else "-"
            filled.append(argument)
            if argument == "--draw" and not _is_output(following):
                filled.append(_AUTOMATIC)
        return super().parse_args(ctx, filled)


def _is_output(name: str) -> bool:
    """Whether ``name`` can be meant as OUT: a folder, or a file name with a suffix."""
    suffix = Path(name).suffix
    has_suffix = 3 <= len(suffix) <= 6 and suffix[1:].isalnum()
    return not name.startswith("-") and (name.endswith("/") or has_suffix)


app = typer.Typer(add_completion=False)


@app.command(cls=OptionalValueCommand)
@with_common_options
def ground(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="File, folder, glob or URL; - is stdin.")
    ],
    phrases: Annotated[
        list[str] | None, typer.Argument(metavar="PHRASE", help="What to find, each by itself.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Find every instance of it.")] = False,
    caption: Annotated[
        bool, typer.Option("--caption", help="Describe the picture with boxes.")
    ] = False,
    example: Annotated[
        str | None,
        typer.Option("--example", metavar="FILE", help="Find what is marked in this picture."),
    ] = None,
    draw: Annotated[
        str | None,
        typer.Option("--draw", metavar="[FILE]", help="Draw boxes into FILE, or a file beside it."),
    ] = None,
    crop_dir: Annotated[
        Path | None,
        typer.Option("--crop-dir", metavar="DIR", help="Save each box as a picture here."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="text, json, coco, yolo, voc, labelstudio, labelme or csv.",
            autocompletion=completing.formats,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR/|-",
            help="Write a file whose suffix is the format, or a folder of files.",
        ),
    ] = None,
    no_constrain: Annotated[
        bool, typer.Option("--no-constrain", help="Let the model write any text.")
    ] = False,
    fail_empty: Annotated[
        bool, typer.Option("--fail-empty", help="Exit with 1 if nothing is found.")
    ] = False,
    pages: Annotated[
        str | None, typer.Option("--pages", metavar="LIST", help="Pages of documents, as 1-4,7.")
    ] = None,
    dpi: Annotated[
        int, typer.Option("--dpi", min=20, max=1200, help="Resolution of PDF pages.")
    ] = 200,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look into subfolders.")
    ] = False,
    exclude: ExcludeOption = None,
    password: PasswordOption = None,
    parallel: ParallelOption = AUTO,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Show what the model is asked, on stderr.")
    ] = False,
    *,
    common: CommonOptions,
) -> None:
    """Find things in pictures, and give their boxes in pixels.

    On a terminal it prints text. In a pipe it prints a line of JSON for each picture; -f text
    prints text there too.

    Examples:
      dvl2 ground street.jpg "red car" bicycle --draw
      dvl2 ground street.jpg car --all -o boxes.json
      dvl2 ground photos/ car -f yolo -o labels/
    """
    from dvl2_cli.commands.ground_task import GroundTask
    from dvl2_cli.commands.sources import InputOptions
    from dvl2_cli.tasks.ground import GroundOptions

    wanted = GroundOptions(tuple(phrases or ()), every, caption, constrain=not no_constrain)
    wanted.check(has_example=example is not None)
    task = GroundTask(
        wanted,
        example,
        draw=draw,
        crop_dir=crop_dir,
        form="json" if common.json else form,
        output=output,
        fail_empty=fail_empty,
        parallel=parallel,
    )
    options = InputOptions(pages, dpi, recursive, tuple(exclude or ()), password)
    task.run(image, options, common, show_prompt=show_prompt)
