"""``nano_lab train``: train nano by its recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dvl2_cli.errors import InputError, UsageError

NANO = Path(__file__).parents[1] / "recipes" / "nano.toml"
_DTYPES = ("bf16", "fp32")


def train(
    recipe: Annotated[Path, typer.Argument(metavar="[RECIPE.toml]", help="Stages.")] = NANO,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the run.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that render pictures.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of each process.")] = None,
    dtype: Annotated[str, typer.Option(help="bf16 or fp32.")] = "bf16",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.")] = False,
) -> None:
    """Train on rendered pictures; run it again to go on after a stop.

    Launch it with torchrun or accelerate launch to use several processes.
    """
    if out is None:
        raise UsageError("train: say where to write with -o FOLDER")
    if dtype not in _DTYPES:
        raise UsageError(f"train: --dtype is one of {', '.join(_DTYPES)}, not {dtype!r}")
    if not recipe.is_file():
        raise InputError(f"no such file: {recipe}")
    from dvl2_cli.finetuning.recipe_file import load_recipe
    from dvl2_cli.finetuning.run import RunOptions
    from nano_lab.pretraining.recipe import PretrainingStage, check_pretraining
    from nano_lab.pretraining.run import pretrain

    loaded = load_recipe(recipe, PretrainingStage, check_pretraining)
    result = pretrain(loaded, RunOptions(out, workers, threads, dtype, quiet))
    # The first process speaks for all of torchrun's.
    if os.environ.get("RANK", "0") == "0":
        typer.echo(result)
