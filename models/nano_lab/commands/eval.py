"""``nano_lab eval``: how good nano's answers are on its own suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvl2_cli.errors import UsageError
from dvl2_cli.options import CommonOptions, with_common_options

SUITES = ("nano", "foreign")


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
    suite: Annotated[
        str, typer.Option("--suite", help="nano, or foreign: documents of other tools.")
    ] = "nano",
    every: Annotated[
        int, typer.Option("--every", min=1, metavar="N", help="Foreign: each N-th item only.")
    ] = 1,
    peers: Annotated[
        bool, typer.Option("--peers", help="Foreign: tesseract and rapidocr too.")
    ] = False,
    *,
    common: CommonOptions,
) -> None:
    """Measure answers on the nano suite: CER, ANLS, IoU, accuracy, object F1.

    The suite is rendered with held-out fonts, layouts, words and combinations, always the same;
    answers are greedy and unconstrained. Intervals are 95 % bootstraps.
    """
    if suite not in SUITES:
        raise UsageError(f"eval: no suite {suite!r}", f"Suites: {', '.join(SUITES)}")
    if suite == "foreign":
        if limit or plot:
            raise UsageError("eval: --limit and --plot go with --suite nano", "Use --every N.")
        _measure_foreign(only, every, answers, common, peers=peers)
        return
    if peers or every > 1:
        raise UsageError("eval: --peers and --every go with --suite foreign")
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


def _measure_foreign(
    only: list[str] | None,
    every: int,
    answers: Path | None,
    common: CommonOptions,
    *,
    peers: bool,
) -> None:
    from nano_lab.foreign.__main__ import main

    arguments = ["--every", str(every)]
    arguments += ["--parts", ",".join(only)] if only else []
    arguments += ["-o", str(answers)] if answers else []
    arguments += ["-m", common.model] if common.model else []
    arguments += ["--threads", str(common.threads)] if common.threads else []
    arguments += ["--peers"] if peers else []
    code = main(arguments)
    if code:
        raise typer.Exit(code)
