"""``dvl2 bench``: speed and memory of a model here, beside what this machine could do."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dvl2_cli import completing
from dvl2_cli.options import ANSWERING, CommonOptions, with_common_options
from dvl2_cli.packages import need_packages

if TYPE_CHECKING:
    from dvl2_cli.engine.session import Session
    from dvl2_cli.ui.console import Console

app = typer.Typer(add_completion=False)


# It measures the model's own speed on the CPU.
_NOT_MEASURED = ANSWERING | {"device", "adapter", "offline"}


@app.command()
@with_common_options(without=_NOT_MEASURED)
def bench(
    common: CommonOptions,
    shape: Annotated[
        str | None,
        typer.Option(
            "--shape",
            metavar="MODEL",
            help="Measure random weights of the shape of tiny, small or base.",
            autocompletion=completing.shapes,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="DIR", help="Keep the random weights here, and use them again."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the rates into this PNG file."),
    ] = None,
    prompt_tokens: Annotated[
        int,
        typer.Option("--prompt-tokens", min=17, max=4000, help="Number of tokens in the prompt."),
    ] = 512,
    answer_tokens: Annotated[
        int, typer.Option("--answer-tokens", min=2, max=2000, help="Number of tokens in an answer.")
    ] = 48,
) -> None:
    """Measure the speed and the memory of a model on the CPU.

    Each rate stands beside the limit of the machine, from the same run: the read bandwidth of
    all threads, and torch's matrix products of the same sizes.

    Examples:
      dvl2 bench
      dvl2 bench --shape tiny --quant int8 --plot rates.png
    """
    from dvl2_cli.commands.bench_table import render_bench
    from dvl2_cli.engine.session import Session
    from dvl2_cli.ui.console import Console
    from dvl2_cli.ui.output import Output
    from dvl2_cli.writers.collisions import check_outputs

    if plot is not None:
        need_packages("bench: --plot", "eval", "matplotlib")
    session = Session(common, remember=False)
    settings = session.settings
    console = Console(common)
    shape = "base" if shape == "27b" else shape  # the older name
    with _model(shape, weights, session, console) as (folder, name):
        if plot is not None:
            check_outputs([plot], folder.iterdir())
        from dvl2_cli.benchmarking.measure import measure

        result = measure(
            folder,
            name,
            prompt_tokens=prompt_tokens,
            answer_tokens=answer_tokens,
            max_memory=settings.max_memory,
            threads=settings.threads,
            say=console.detail,
        )
    if common.json:
        Output().json(result.as_json())
    else:
        render_bench(result, console.rich_out())
    if plot is not None:
        from dvl2_cli.benchmarking.plot import plot_result

        plot_result(result, plot)


@contextlib.contextmanager
def _model(
    shape: str | None,
    weights: Path | None,
    session: Session,
    console: Console,
) -> Iterator[tuple[Path, str]]:
    """The folder to measure and its name; random weights in a temporary one go afterwards."""
    from dvl2_cli.errors import UsageError
    from dvl2_cli.planning.released import NAMES

    if shape is None:
        if weights is not None:
            raise UsageError("--weights is for random weights", "Give --shape too, or --model.")
        yield session.resolved.folder, session.resolved.id
        return
    if shape not in NAMES:
        raise UsageError(f"--shape is {shape!r}", f"Give one of {', '.join(NAMES)}.")
    name = f"{shape} (random weights)"
    if weights is not None:
        _make(shape, weights, session.settings.quant, console)
        yield weights, name
        return
    with tempfile.TemporaryDirectory(prefix="dvl2-bench-") as temporary:
        _make(shape, Path(temporary), session.settings.quant, console)
        yield Path(temporary), name


def _make(shape: str, folder: Path, quant: str | None, console: Console) -> None:
    from dvl2_cli.errors import ModelError, UsageError
    from dvl2_cli.store.places import nano_folder

    if (folder / "config.json").is_file():
        return
    kind = "int4" if quant in (None, "auto") else quant
    if kind not in ("int4", "int8"):
        raise UsageError(f"random weights cannot be {kind}", "Give --quant int4 or int8.")
    companions = nano_folder()
    if companions is None:
        raise ModelError(
            "the bundled model, whose tokenizer random weights borrow, is not installed",
            "Install dvl2 again.",
        )
    from dvl2_cli.benchmarking.random_copy import write_random_copy

    console.note(f"writing random weights of {shape}'s shape")
    write_random_copy(shape, folder, str(kind), companions=companions)
