"""``nano_lab eval``: how good nano's answers are on its own suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvl2_cli.errors import UsageError
from dvl2_cli.options import CommonOptions, with_common_options


@with_common_options
def evaluate(
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A part of the suite; repeatable.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Items of each part.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="DIR", help="Write plots and a gallery.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option("--answers", metavar="FILE", help="Write every answer.")
    ] = None,
    *,
    common: CommonOptions,
) -> None:
    """Measure answers on the nano suite: CER, ANLS, IoU, accuracy, object F1.

    The suite is rendered with held-out fonts, layouts, words and combinations, always the same;
    answers are greedy and unconstrained. Intervals are 95 % bootstraps.
    """
    from dvl2_cli.commands.eval import measure
    from nano_lab.evaluation.nano_suite import PARTS, check_fonts, part_items
    from nano_lab.rendering import VERSION

    names = [part.name for part in PARTS]
    unknown = [name for name in only or () if name not in names]
    if unknown:
        raise UsageError(f"eval: no part {unknown[0]!r}", f"Parts: {', '.join(names)}")
    check_fonts()
    parts = [
        (part.name, part.bar, part_items(part, limit))
        for part in PARTS
        if not only or part.name in only
    ]
    measure(parts, common, plot, answers, extra={"renderer": VERSION})
