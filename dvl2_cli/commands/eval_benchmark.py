"""``dvl2 eval BENCHMARK``: a public benchmark from the user's own files, and two runs compared."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dvl2_cli.errors import UsageError
from dvl2_cli.options import AUTO, parallel_of

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import Engine
    from dvl2_cli.engine.session import Session
    from dvl2_cli.evaluation.benchmarks.plan import BenchmarkPlan
    from dvl2_cli.evaluation.benchmarks.tally import Tally
    from dvl2_cli.journal import Journal
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.results.benchmark import BenchmarkAnswer, BenchmarkComparison, BenchmarkScore
    from dvl2_cli.ui.console import Console

_HEADINGS = ("benchmark", "group", "metric", "n", "score", "95 % interval", "points")
_COMPARED = ("benchmark", "metric", "n", "A", "B", "B - A", "95 % interval", "better", "worse")
_OCRBENCH_QUESTIONS = 1000


@dataclass(frozen=True, slots=True)
class BenchmarkOptions:
    """What the command line says.

    Attributes:
        name: of the set.
        data: its files, or folders of them.
        limit: questions at most.
        seed: of the sample that ``limit`` takes; None for the first ones.
        answers: the file of every answer.
        parallel: as --parallel has it.
    """

    name: str
    data: Sequence[Path]
    limit: int | None
    seed: int | None
    answers: Path | None
    parallel: str = AUTO


def show_prompts(options: BenchmarkOptions) -> None:
    """Print the first ``limit`` prompts (one if not given), word for word, and ask nothing."""
    from itertools import islice

    from dvl2_cli.ui.output import Output

    plan = _plan(options)
    out = Output()
    for number, item in enumerate(islice(plan.items(), options.limit or 1)):
        if number:
            out.line("")
        out.line(item.message(item.pictures()).shown)


def run_benchmark(options: BenchmarkOptions, common: CommonOptions) -> None:
    """Ask every question, and show and write what came out.

    Raises:
        Exit: with 1 if a question could not be asked, with 130 after Ctrl-C.
    """
    from dvl2_cli.engine.opening import open_engine
    from dvl2_cli.engine.session import Session
    from dvl2_cli.evaluation.benchmarks.tally import Tally
    from dvl2_cli.ui.console import Console
    from dvl2_cli.writers.collisions import refuse_picture

    outputs = [] if options.answers is None else [options.answers]
    for output in outputs:
        refuse_picture(output)
    plan = _plan(options, outputs)
    console = Console(common)
    session = Session(common, console.tell)
    tally = Tally(plan.benchmark, plan.sizes)
    with contextlib.ExitStack() as stack:
        journal = _journal(options, plan, session, console, stack)
        with console.busy("loading the model"):
            engine = open_engine(session)
        try:
            console.introduce(engine.info.describe(), is_nano=engine.info.is_nano)
            stopped = _ask(engine, plan, session, console, tally, journal, options)
            _show(tally, engine, console, as_json=common.json)
        finally:
            engine.close()
        if stopped:
            console.note("stopped: these figures cover only what was answered")
            raise typer.Exit(130)
        if journal is not None and not tally.failed:
            journal.complete()
    if tally.failed:
        raise typer.Exit(1)


def compare(first: Path, second: Path, common: CommonOptions) -> None:
    """Print what the answers in ``second`` gain on those in ``first``."""
    from dvl2_cli.evaluation.benchmarks.compare import compare_files
    from dvl2_cli.ui.console import Console
    from dvl2_cli.ui.output import Output

    result = compare_files(first, second)
    console = Console(common)
    if result.unpaired:
        console.note(f"{result.unpaired} questions have a score in one file only: left out")
    if common.json:
        Output().json(result.as_json())
    else:
        _table(_COMPARED, [_compared(result)], console)


def _plan(options: BenchmarkOptions, outputs: Sequence[Path] = ()) -> BenchmarkPlan:
    from dvl2_cli.evaluation.benchmarks.files import open_files
    from dvl2_cli.evaluation.benchmarks.plan import make_plan
    from dvl2_cli.evaluation.benchmarks.sets import SETS
    from dvl2_cli.writers.collisions import check_outputs

    benchmark = SETS[options.name]
    files = open_files(options.data, benchmark)
    check_outputs(outputs, [file.path for file in files], UsageError)
    return make_plan(benchmark, files, options.limit, options.seed)


def _journal(
    options: BenchmarkOptions,
    plan: BenchmarkPlan,
    session: Session,
    console: Console,
    stack: contextlib.ExitStack,
) -> Journal | None:
    """The answers of a killed run; None where they cannot be kept or another run has them."""
    from dvl2_cli import __version__
    from dvl2_cli.commands.resuming import entered, fingerprint, model_identity, state_journal
    from dvl2_cli.journal import JournalInUseError
    from dvl2_cli.user_folders import NoHomeError

    states = [(file.path.resolve(), file.path.stat()) for file in plan.files]
    data = [(str(path), state.st_size, state.st_mtime_ns) for path, state in states]
    defaults = session.defaults(max_tokens=0)
    shown = (str(defaults.tiles), str(defaults.zoom))
    print_of_run = fingerprint(__version__, model_identity(session), data, shown)
    try:
        journal = state_journal("eval", (options.name, [str(path) for path, _ in states]),
                                print_of_run)  # fmt: skip
        return entered(journal, stack, console)
    except (JournalInUseError, NoHomeError) as error:
        console.note(f"{error.message}: if this run is killed, it starts over")
        return None


def _ask(
    engine: Engine,
    plan: BenchmarkPlan,
    session: Session,
    console: Console,
    tally: Tally,
    journal: Journal | None,
    options: BenchmarkOptions,
) -> bool:
    """Ask the questions, filling ``tally`` and the file of answers; True if Ctrl-C ended it."""
    from dvl2_cli.errors import CancelledError
    from dvl2_cli.evaluation.benchmarks.asking import ask_all, greedy
    from dvl2_cli.tasks.context import TaskContext
    from dvl2_cli.ui.interrupts import Interrupts

    _announce(plan, console)
    defaults = greedy(session.defaults(max_tokens=0))
    width = parallel_of(options.parallel) or engine.info.parallel
    with _row_writer(options.answers) as write, Interrupts(several=True) as interrupts:
        context = TaskContext(engine, defaults, interrupts.cancel)
        interrupts.begin()
        with contextlib.suppress(CancelledError):
            for number, answer in enumerate(ask_all(context, plan, journal, width), 1):
                tally.add(answer)
                write(answer)
                if answer.error is not None:
                    console.error(answer.error.message, answer.error.hint)
                _progress(console, f"{plan.benchmark.name}: {number} of {plan.questions}")
                if interrupts.stop:
                    break
        _progress(console, "")
        return interrupts.stop or interrupts.cancel.is_set()


def _announce(plan: BenchmarkPlan, console: Console) -> None:
    if plan.benchmark.warning is not None:
        console.warn(plan.benchmark.warning)
    if plan.rows_left_out:
        console.note(f"{plan.rows_left_out} rows of the dev split are left out, as in the paper")
    if plan.benchmark.scale == _OCRBENCH_QUESTIONS != len(plan.sizes):
        console.note(
            f"{len(plan.sizes)} questions are asked, not 1,000: the score is scaled to 1,000"
        )


@contextlib.contextmanager
def _row_writer(path: Path | None) -> Iterator[Callable[[BenchmarkAnswer], object]]:
    """What writes an answer to the file ``path``, which is whole or absent."""
    if path is None:
        yield lambda answer: None
        return
    from dvl2_cli.files import atomic_write
    from dvl2_cli.results.lines import json_line

    with atomic_write(path) as stream:
        yield lambda answer: stream.write(json_line(answer.as_json()) + "\n")


def _progress(console: Console, text: str) -> None:
    if console.err_is_tty and not console.quiet:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _show(tally: Tally, engine: Engine, console: Console, *, as_json: bool) -> None:
    """The scores, and beside them the paper's."""
    from dvl2_cli.evaluation.benchmarks.paper import paper_figures, paper_note
    from dvl2_cli.results.envelope import ModelRecord
    from dvl2_cli.ui.output import Output

    name = tally.benchmark.name
    scores = tally.scores(ModelRecord.of(engine.info), paper_figures(name))
    if as_json:
        out = Output()
        for score in scores:
            out.json(score.as_json())
    else:
        _table(_HEADINGS, [_cells(score) for score in scores], console)
    if tally.failed:
        console.warn(f"{tally.failed} questions could not be asked, and are left out of the score")
    console.note(paper_note(name))


def _cells(score: BenchmarkScore) -> tuple[str, ...]:
    digits = 0 if score.scale == _OCRBENCH_QUESTIONS else 2
    return (
        score.benchmark,
        score.group or ("all" if score.group is None else "none"),
        score.metric,
        str(score.n),
        f"{score.score:.{digits}f}",
        f"{score.low:.{digits}f} to {score.high:.{digits}f}",
        f"{score.points:g} of {score.n}",
    )


def _compared(result: BenchmarkComparison) -> tuple[str, ...]:
    return (
        result.benchmark,
        result.metric,
        str(result.n),
        f"{result.first:.2f}",
        f"{result.second:.2f}",
        f"{result.difference:+.2f}",
        f"{result.low:+.2f} to {result.high:+.2f}",
        str(result.better),
        str(result.worse),
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    if not console.out_is_tty:
        from dvl2_cli.ui.output import Output

        out = Output()
        for row in (headings, *rows):
            out.line("\t".join(row))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.rich_out().print(table)
