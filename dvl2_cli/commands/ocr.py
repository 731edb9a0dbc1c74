"""``dvl2 ocr``: the text of images and PDF pages."""

from __future__ import annotations

from typing import Annotated

import typer

from dvl2_cli import completing
from dvl2_cli.options import (
    AUTO,
    CommonOptions,
    ExcludeOption,
    ParallelOption,
    PasswordOption,
    SchemaLenientOption,
    with_common_options,
)

app = typer.Typer(add_completion=False)


@app.command()
@with_common_options
def ocr(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Images, PDFs, folders, globs, URLs; - is stdin."),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="text, md, json, html, tsv, csv, hocr, alto or pdf.",
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
    pages: Annotated[
        str | None, typer.Option("--pages", metavar="LIST", help="Pages of documents, as 1-4,7.")
    ] = None,
    dpi: Annotated[
        int, typer.Option("--dpi", min=20, max=1200, help="Resolution of PDF pages.")
    ] = 200,
    boxes: Annotated[
        str,
        typer.Option("--boxes", metavar="BY", help="Locate lines: by model, rapidocr or none."),
    ] = "none",
    text_layer: Annotated[
        str,
        typer.Option(
            "--text-layer",
            help="Of PDF pages: auto takes it where it is sound, ignore, only (asks no model).",
        ),
    ] = "auto",
    fields: Annotated[
        str | None,
        typer.Option("--fields", metavar="NAMES", help="Extract these values, as total,date."),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema", help="Extract what a JSON Schema says, or a list: name, total float."
        ),
    ] = None,
    schema_lenient: SchemaLenientOption = False,
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
    """Read the text of images and PDF pages.

    On a terminal it prints text. In a pipe it prints a line of JSON for each page; -f text
    prints text there too. It goes on after a page that fails.

    Examples:
      dvl2 ocr page.jpg
      dvl2 ocr scan.pdf --pages 1-4 -o scan.md
      dvl2 ocr invoices/ -o texts/
      dvl2 ocr invoice.png --fields number,date,total
      dvl2 ocr page.jpg -f text | less
    """
    from dvl2_cli.commands.ocr_task import OcrTask
    from dvl2_cli.commands.sources import InputOptions

    task = OcrTask(
        form="json" if common.json else form,
        output=output,
        boxes=boxes,
        fields=fields,
        schema=schema,
        schema_lenient=schema_lenient,
        text_layer=text_layer,
        parallel=parallel,
    )
    options = InputOptions(
        pages, dpi, recursive, tuple(exclude or ()), password, task.layers.wanted
    )
    task.run(files, options, common, show_prompt=show_prompt)
