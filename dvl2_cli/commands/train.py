"""``dvl2 train``: train or fine-tune a model, by a recipe or on one's own conversations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dvl2_cli.errors import InputError, UsageError
from dvl2_cli.packages import install_command, need_packages

if TYPE_CHECKING:
    from dvl2_cli.finetuning.finetune import FineTuning
    from dvl2_cli.finetuning.recipe import Recipe

app = typer.Typer(add_completion=False)

_DATA = "With DATA.jsonl"
_DTYPES = ("bf16", "fp32")


@app.command()
def train(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DATA.jsonl|RECIPE.toml|RUN",
            help="Data, a recipe or a run.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write the run here.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", hidden=True)] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Name, folder or hub id.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    lora: Annotated[
        int | None,
        typer.Option(
            "--lora",
            metavar="RANK",
            min=1,
            help="Train an adapter of this rank.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    experts: Annotated[
        bool | None,
        typer.Option(
            "--experts/--no-experts",
            help="Adapt routed experts too.",
            show_default=False,
            rich_help_panel=_DATA,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Train for N steps.", rich_help_panel=_DATA),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train on every row N times.", show_default="3", rich_help_panel=_DATA
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Peak rate.",
            show_default="2e-4 for LoRA, else 2e-5",
            rich_help_panel=_DATA,
        ),
    ] = None,
    micro_batches: Annotated[
        int | None,
        typer.Option(
            min=1, help="Micro-batches in a step.", show_default="2", rich_help_panel=_DATA
        ),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Limit of a micro-batch.",
            show_default="4096",
            rich_help_panel=_DATA,
        ),
    ] = None,
    tiles: Annotated[
        int | None,
        typer.Option(
            min=1, help="Limit of a micro-batch.", show_default="16", rich_help_panel=_DATA
        ),
    ] = None,
    pack: Annotated[
        bool,
        typer.Option("--pack", help="Join rows to sequences.", rich_help_panel=_DATA),
    ] = False,
    held_out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Measure on these conversations.", rich_help_panel=_DATA),
    ] = None,
    save_every: Annotated[
        int | None,
        typer.Option(min=1, help="Save every N steps.", show_default="100", rich_help_panel=_DATA),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the order of rows.", rich_help_panel=_DATA)
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Add the adapter to its model, in RUN/merged.")
    ] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Only draw the plots of a run again.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Number of processes that prepare data.")] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of CPU threads of each process.")
    ] = None,
    dtype: Annotated[str, typer.Option(metavar="TYPE", help="Compute in bf16 or fp32.")] = "bf16",
    json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only errors on stderr.")
    ] = False,
) -> None:
    """Train a model on your own conversations, or by a recipe.

    The same command goes on after a stop. torchrun or accelerate launch start it in several
    processes. `dvl2 help training` explains the data.

    Examples:
      dvl2 train data.jsonl -m tiny --lora 16 -o run
      dvl2 train run --merge
      dvl2 train run --plot
    """
    from dvl2_cli.finetuning.finetune import FineTuning

    if dtype not in _DTYPES:
        raise UsageError(f"train: --dtype is one of {', '.join(_DTYPES)}, not {dtype!r}")
    given = FineTuning(
        model or "", lora, experts, steps, epochs, learning_rate, micro_batches, tokens, tiles,
        pack, held_out, save_every, seed,
    )  # fmt: skip
    if source.is_dir():
        _of_run(source, merge, plot, json)
        return
    if plot:
        raise UsageError("train: --plot draws the plots of a run: dvl2 train RUN --plot")
    out = output or out  # --out is the older name
    if out is None:
        raise UsageError("train: say where to write with -o FOLDER")
    recipe = _recipe(source, given, quiet)
    if recipe.lora is not None:
        need_packages("train: --lora", "train", "peft")
    if merge and recipe.lora is None:
        raise UsageError("train: --merge is for LoRA; without it the whole model is written")
    result = _run(recipe, out, workers, threads, dtype, quiet)
    if _is_main():
        _say("merged" if merge else "result", _merged(out) if merge else result, json)


def _is_main() -> bool:
    """Whether this is the first of the processes of torchrun, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def _run(
    recipe: Recipe, out: Path, workers: int, threads: int | None, dtype: str, quiet: bool
) -> Path:
    try:
        from dvl2_cli.finetuning.run import RunOptions
        from dvl2_cli.finetuning.run import train as run
    except ImportError as error:
        raise UsageError(
            f"train needs a package that is not installed: {error.name or error}",
            f"Install it: {install_command('train')}",
        ) from error
    return run(recipe, RunOptions(out, workers, threads, dtype, quiet))


def _recipe(source: Path, given: FineTuning, quiet: bool) -> Recipe:
    from dvl2_cli.finetuning.finetune import FineTuning, fine_tuning_recipe
    from dvl2_cli.finetuning.recipe_file import load_recipe

    if not source.is_file():
        raise InputError(f"no such file: {source}")
    if source.suffix == ".toml":
        if given != FineTuning(""):
            raise UsageError(
                f"train: {source} is a recipe, which says itself what and how to train",
                "Write the model, rates, steps and lora into it; see docs/training.md.",
            )
        return load_recipe(source)
    if given.experts is not None and given.lora is None:
        raise UsageError(
            "train: --experts belongs to --lora", "Without it all experts are trained."
        )
    if given.steps is not None and given.epochs is not None:
        raise UsageError("train: give --steps or --epochs, not both")
    return fine_tuning_recipe(source, _with_model(given, quiet))


def _with_model(given: FineTuning, quiet: bool) -> FineTuning:
    """What was given, with the folder of the model in place of its name."""
    from dataclasses import replace

    from dvl2_cli.engine.session import Session
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.store.resolve import PLAIN, resolve
    from dvl2_cli.ui.console import Console

    common = CommonOptions(model=given.model or None, quiet=quiet)
    resolved = resolve(replace(Session(common).spec, quant=PLAIN))
    if _is_main():
        Console(common).note(resolved.describe())
    return replace(given, model=str(resolved.folder.resolve()))


def _say(what: Literal["result", "merged", "plot"], path: Path, json: bool) -> None:
    """Name what was written on stdout."""
    from dvl2_cli.results.records import TrainRow
    from dvl2_cli.ui.output import Output

    if json:
        Output().json(TrainRow(what, path).as_json())
    else:
        Output().line(str(path))


def _of_run(run: Path, merge: bool, plot: bool, json: bool) -> None:
    if merge == plot:
        raise UsageError(
            f"train: {run} is a folder; say --merge or --plot",
            "To train, name DATA.jsonl or RECIPE.toml.",
        )
    if merge:
        need_packages("train: --merge", "train", "peft")
        _say("merged", _merged(run), json)
        return
    need_packages("train: --plot", "train", "matplotlib")
    from dvl2_cli.finetuning.plots import draw

    for path in draw(run):
        _say("plot", path, json)


def _merged(run: Path) -> Path:
    """Add the adapter of a run to the model that it was trained on."""
    from dvl2_cli.finetuning.export import ADAPTER, MERGED, base_of, write_merged
    from dvl2_cli.writers.collisions import check_output_folder

    base = base_of(run / ADAPTER)
    check_output_folder(run / MERGED, [base])
    write_merged(run / MERGED, base, run / ADAPTER)
    return run / MERGED
