"""``dvl2 pull``: download a model and make the quantised copy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dvl2_cli import completing

if TYPE_CHECKING:
    from dvl2_cli.store.names import HubId
    from dvl2_cli.store.pulling import PullPlan
    from dvl2_cli.store.records import Record
    from dvl2_cli.ui.console import Console

app = typer.Typer(add_completion=False)


@app.command()
def pull(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="tiny, small, base or a hub id.",
            autocompletion=completing.released_models,
        ),
    ],
    revision: Annotated[
        str | None, typer.Option("--revision", metavar="NAME", help="Branch, tag or commit.")
    ] = None,
    quant: Annotated[
        str,
        typer.Option(
            "--quant", metavar="FORMAT", help="Make a copy as auto, none, int8, int4 or nf4."
        ),
    ] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the size and the space, and fetch nothing.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only errors on stderr.")
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Use no colour, as with NO_COLOR=1.")
    ] = False,
) -> None:
    """Download a model, and make the quantised copy that runs best here.

    Every byte is checked, and an interrupted download goes on where it stopped. HF_ENDPOINT
    names a mirror of the hub, and DVL2_MODELS the folder for models.

    Examples:
      dvl2 pull tiny
      dvl2 pull small --quant int8
      dvl2 pull base --dry-run
    """
    from dvl2_cli.engine.session import Session
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.store.conversion import chosen_format, size_share
    from dvl2_cli.store.pulling import plan_pull, pull_offline
    from dvl2_cli.ui.console import Console

    console = Console(CommonOptions(quiet=quiet, no_color=no_color))
    hub_id = _hub_id(model)
    session = Session(remember=False)
    target = chosen_format(
        quant, lambda: any(card.kind == "cuda" for card in session.accelerators[0])
    )
    if offline or session.settings.offline:
        record = pull_offline(hub_id, revision)
    else:
        plan = plan_pull(hub_id, revision, extra_share=size_share(target))
        _introduce(plan, console)
        if dry_run:
            if json:
                _print_plan(plan)
            return
        record = _download(plan, revision, console)
    made = _convert(record, target, console)
    if json:
        _print_json(record, made)


def _hub_id(model: str) -> HubId:
    from dvl2_cli.errors import UsageError
    from dvl2_cli.store.names import parse_name

    meaning = parse_name(model)
    if meaning is None:
        raise UsageError("nano is bundled: there is nothing to pull", "Try: dvl2 chat -m nano")
    if isinstance(meaning, Path):
        raise UsageError(
            f"{model} is a folder here: there is nothing to pull",
            f"Use it as it is with --model, or: dvl2 quantize {model}",
        )
    return meaning


def _introduce(plan: PullPlan, console: Console) -> None:
    from dvl2_cli.sizes import format_size

    listing = plan.listing
    here = f", {format_size(plan.present)} of it here already" if plan.present else ""
    copy = f", about {format_size(plan.extra)} for the quantised copy" if plan.extra else ""
    console.note(
        f"{listing.hub_id.text}@{listing.commit[:8]}: {len(listing.files)} files, "
        f"{format_size(listing.size)}{here}{copy}; {format_size(plan.free)} free"
    )


def _print_plan(plan: PullPlan) -> None:
    from dvl2_cli.results.models import PullPlanRow, SizedFile
    from dvl2_cli.ui.output import Output

    listing = plan.listing
    row = PullPlanRow(
        id=listing.hub_id.text,
        revision=listing.commit,
        folder=plan.folder,
        files=[SizedFile(file.name, file.size) for file in listing.files],
        size=listing.size,
        present=plan.present,
        copy=plan.extra,
        free=plan.free,
    )
    Output().json(row.as_json())


def _download(plan: PullPlan, revision: str | None, console: Console) -> Record:
    from dvl2_cli.errors import CancelledError
    from dvl2_cli.store.pulling import check_space, pull
    from dvl2_cli.ui.transfer import transfer_bar

    check_space(plan)
    try:
        with transfer_bar(console, plan.listing.size) as bar:
            record = pull(plan, revision, bar)
    except KeyboardInterrupt as error:
        name = plan.listing.hub_id.short
        raise CancelledError("cancelled", f"What was fetched is kept: dvl2 pull {name}") from error
    console.note(f"every file has its published hash; in {record.original}")
    return record


def _convert(record: Record, target: str, console: Console) -> Path | None:
    """Make the quantised copy, unless none is wanted or the release is one already."""
    from dvl2_cli.store.copies import copy_folder, is_current
    from dvl2_cli.store.resolve import PLAIN, folder_quant

    if target == PLAIN:
        return None
    released_as = folder_quant(record.original)
    if released_as != PLAIN:
        console.note(f"released as {released_as} already: no copy is made")
        return None
    folder = copy_folder(record.original, target)
    if is_current(folder, record.original):
        console.note(f"the {target} copy is here already: {folder}")
        return folder

    from dvl2_cli.quantizing.quantize import Format, quantize_model
    from dvl2_cli.ui.transfer import transfer_bar

    with transfer_bar(console, 0) as bar:
        bar.file(f"making the {target} copy")
        quantize_model(record.original, Format(target), folder, bar.at, verified=True)
    console.note(f"made the {target} copy: {folder}")
    return folder


def _print_json(record: Record, made: Path | None) -> None:
    from dvl2_cli.results.lines import write_json_line
    from dvl2_cli.results.models import MadeCopy, PullRow

    row = PullRow(
        id=record.id,
        revision=record.revision,
        licence=record.licence,
        folder=record.original,
        files=record.files,
        copy=None if made is None else MadeCopy(made.name, made),
    )
    write_json_line(sys.stdout, row.as_json())
