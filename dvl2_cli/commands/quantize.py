"""``dvl2 quantize``: make a quantised local copy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from dvl2_cli import completing

if TYPE_CHECKING:
    from dvl2_cli.quantizing.quantize import QuantizeResult
    from dvl2_cli.results.models import Agreement, CopyFormat
    from dvl2_cli.ui.console import Console

app = typer.Typer(add_completion=False)


@app.command()
def quantize(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Name, folder or hub id of a model here.",
            autocompletion=completing.local_models,
        ),
    ],
    quant: Annotated[
        str, typer.Option("--quant", metavar="FORMAT", help="int4, int8 or nf4.")
    ] = "int4",
    to: Annotated[str | None, typer.Option("--to", hidden=True)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write the copy here.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", metavar="COMMIT", help="Commit of the model.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Compare its answers with the model's."),
    ] = True,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Number of CPU threads.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only errors on stderr.")
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Use no colour, as with NO_COLOR=1.")
    ] = False,
) -> None:
    """Make a smaller, faster copy of a model.

    int4 and nf4 take a third of the size, int8 half. int4 and int8 are formats of dvl2 for
    CPUs; nf4 is for CUDA, by bitsandbytes. It holds one tensor in memory at a time, and an
    interrupted run goes on where it stopped.

    Examples:
      dvl2 quantize tiny
      dvl2 quantize tiny --quant int8
      dvl2 quantize run/merged -o my-model
    """
    from dvl2_cli.errors import UsageError
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.store.copies import copy_folder
    from dvl2_cli.store.resolve import ModelSpec, resolve
    from dvl2_cli.ui.console import Console

    formats = ("int4", "int8", "nf4")
    to = to or quant  # --to is the older name
    if to not in formats:
        raise UsageError(f"--quant is {to!r}", f"Give one of {', '.join(formats)}.")
    console = Console(CommonOptions(quiet=quiet, no_color=no_color))
    spec = ModelSpec(model, "the command line", "none", revision)
    source = resolve(spec).folder
    # A trailing slash or dot must not end up in the names of the lock and the partial folder.
    folder = output.absolute() if output else copy_folder(source, to)
    result = _convert(source, to, folder, threads, console)
    agreement = _compare(source, result, to, console) if check else None
    _report(result, agreement, console)
    if json:
        _print_json(result, to, agreement)


def _convert(
    source: Path, to: str, folder: Path, threads: int | None, console: Console
) -> QuantizeResult:
    import torch

    from deepseek_vl_v2.kernels import library as kernels
    from dvl2_cli.quantizing.quantize import Format, quantize_model
    from dvl2_cli.ui.transfer import transfer_bar

    if threads is not None:
        torch.set_num_threads(threads)
        kernels.set_threads(threads)
    with transfer_bar(console, 0) as bar:
        bar.file(folder.name)
        return quantize_model(source, Format(to), folder, bar.at)


def _compare(source: Path, result: QuantizeResult, to: str, console: Console) -> Agreement:
    from dvl2_cli.quantizing.round_trip import round_trip

    console.note("comparing the copy with the original on a page and a passage of text")
    return round_trip(source, result.folder, nf4=to == "nf4")


def _report(result: QuantizeResult, agreement: Agreement | None, console: Console) -> None:
    if not result.made:
        console.note(f"the copy is current: {result.folder}")
    for error in result.errors:
        console.note(
            f"{error.name}: {error.kind}, relative error {error.relative_error:.2%} "
            f"over {error.weights / 1e6:,.1f} M weights"
        )
    if agreement is not None:
        console.note(
            f"same most probable token at {agreement.top1:.1%} of {agreement.positions} "
            f"positions, KL divergence {agreement.kl:.4f} nats"
        )
    if result.made:
        console.note(f"the copy is in {result.folder}")


def _print_json(result: QuantizeResult, to: str, agreement: Agreement | None) -> None:
    from dvl2_cli.results.lines import write_json_line
    from dvl2_cli.results.models import QuantizeRow

    row = QuantizeRow(result.folder, cast("CopyFormat", to), result.made, result.errors, agreement)
    write_json_line(sys.stdout, row.as_json())
