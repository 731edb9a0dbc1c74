"""``dvl2 train``: train or fine-tune a model, by a recipe or on one's own conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def train(
    source: Annotated[Path, typer.Argument(help="RECIPE.toml, or DATA.jsonl of conversations.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the run.")],
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare data.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of each process.")] = None,
    dtype: Annotated[str, typer.Option(help="bf16 or fp32.")] = "bf16",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.")] = False,
) -> None:
    """Train or fine-tune; run it again to go on after a stop.

    Launch it with torchrun or accelerate launch to use several processes.
    """
    from dvl2_cli.training.recipe_file import load_recipe
    from dvl2_cli.training.run import RunOptions
    from dvl2_cli.training.run import train as run

    run(load_recipe(source), RunOptions(out, workers, threads, dtype, quiet))
