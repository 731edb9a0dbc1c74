"""``dvl2 eval``: how good a model's answers are, on one's own data or a public benchmark."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from dvl2_cli.errors import UsageError
from dvl2_cli.options import (
    AUTO,
    CommonOptions,
    ParallelOption,
    parallel_of,
    with_common_options,
)
from dvl2_cli.packages import need_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dvl2_cli.engine.engine import Engine
    from dvl2_cli.engine.request import RequestDefaults
    from dvl2_cli.engine.session import Session
    from dvl2_cli.evaluation.item import Item, ItemResult
    from dvl2_cli.evaluation.summary import EvalSummary
    from dvl2_cli.journal import Journal
    from dvl2_cli.ui.console import Console

app = typer.Typer(add_completion=False)

# Name, aim and items of what is to be asked.
Part = tuple[str, "float | None", "Iterator[Item]"]


# Answers are greedy, and as long as the right one can be.
_FIXED = ("max_tokens", "temperature", "top_p", "seed", "plan", "stats")


# Those of evaluation.benchmarks.sets, which is not imported for the help.
_BENCHMARKS = (
    "docvqa", "infovqa", "chartqa", "textvqa", "ocrbench", "mmbench", "mmmu", "refcoco",
)  # fmt: skip


def _benchmarks(incomplete: str) -> list[str]:
    return [name for name in _BENCHMARKS if name.startswith(incomplete)]


@app.command(name="eval")
@with_common_options(without=_FIXED)
def evaluate(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA.jsonl|BENCHMARK",
            help=f"Conversations, as for train; or, with --data, one of {', '.join(_BENCHMARKS)}.",
            autocompletion=_benchmarks,
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="The benchmark: parquet as lmms-eval's, TSV as VLMEvalKit's, or their folder.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Items.")] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Of a benchmark, ask a random sample of --limit items."),
    ] = None,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Print a benchmark's prompt, and ask nothing.")
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--compare", metavar="A.jsonl B.jsonl", help="Compare two files of --answers, in pairs."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="DIR", help="Write plots and a gallery of own data."),
    ] = None,
    answers: Annotated[
        Path | None, typer.Option("--answers", metavar="FILE", help="Write every answer.")
    ] = None,
    parallel: ParallelOption = AUTO,
    *,
    common: CommonOptions,
) -> None:
    """Measure answers against right ones: own data by CER, ANLS and box F1, public benchmarks by
    their own metrics.

    Answers are greedy and unconstrained. Intervals are 95 % bootstraps.

    Examples:
      dvl2 eval questions.jsonl
      dvl2 eval questions.jsonl -n 100 --plot plots --answers answers.jsonl
    """
    parallel_of(parallel)
    if compare is not None:
        _refuse(
            "--compare", what=what, data=data, answers=answers, plot=plot, show_prompt=show_prompt
        )
        from dvl2_cli.commands.eval_benchmark import compare as compare_answers

        compare_answers(*compare, common)
    elif what in _BENCHMARKS:
        _refuse(f"eval {what}", plot=plot)
        _benchmark(what, data, limit, seed, show_prompt, answers, parallel, common)
    else:
        given = f"eval {what}" if what else "eval DATA.jsonl"
        _refuse(given, data=data, seed=seed, show_prompt=show_prompt)
        _own_data(what, limit, plot, answers, parallel, common)


def _refuse(about: str, **given: object) -> None:
    """Refuse options that change nothing."""
    for name, value in given.items():
        if value not in (None, False, []):
            option = "the name of a set" if name == "what" else f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{about} does not go with {option}",
                f"Benchmarks are {', '.join(_BENCHMARKS)}; dvl2 eval --help has the forms.",
            )


def _benchmark(
    name: str,
    data: list[Path] | None,
    limit: int | None,
    seed: int | None,
    show_prompt: bool,
    answers: Path | None,
    parallel: str,
    common: CommonOptions,
) -> None:
    from dvl2_cli.commands.eval_benchmark import BenchmarkOptions, run_benchmark, show_prompts

    if not data:
        raise UsageError(
            f"eval {name}: name the file with --data FILE",
            "Nothing is downloaded; docs/evaluation.md says where the files are from.",
        )
    if seed is not None and limit is None:
        raise UsageError("--seed chooses the items of --limit, which is missing")
    options = BenchmarkOptions(name, data, limit, seed, answers, parallel)
    if not show_prompt:
        run_benchmark(options, common)
        return
    _refuse("--show-prompt", answers=answers, json=common.json)
    show_prompts(options)


def _own_data(
    data: str | None,
    limit: int | None,
    plot: Path | None,
    answers: Path | None,
    parallel: str,
    common: CommonOptions,
) -> None:
    if data is None:
        raise UsageError("eval: name the conversations, DATA.jsonl", "docs/training.md has a form.")
    need_packages("eval", "eval", "jiwer")
    if plot is not None:
        need_packages("eval: --plot", "eval", "matplotlib")
    from itertools import islice

    from dvl2_cli.evaluation.dataset import read_items

    path = Path(data)
    part = (path.name, None, islice(read_items(path), limit))
    measure([part], common, plot, answers, parallel=parallel, sources=_inputs(path))


def _outputs(answers: Path | None, plot: Path | None) -> Iterator[Path]:
    """The files that may be written."""
    if answers is not None:
        yield answers
    if plot is not None:
        from dvl2_cli.evaluation.gallery import GALLERY
        from dvl2_cli.evaluation.plots import ERROR_RATES, SCORES

        yield from (plot / name for name in (SCORES, ERROR_RATES, GALLERY))


def _inputs(data: Path) -> Iterator[Path]:
    """The data and the pictures that it names."""
    from dvl2_cli.conversations.rows import read_rows

    yield data
    for row in read_rows(data)[0]:
        yield from row.images


def measure(
    parts: Sequence[Part],
    common: CommonOptions,
    plot: Path | None,
    answers: Path | None,
    *,
    parallel: str = AUTO,
    sources: Iterable[Path] = (),
    extra: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Ask all items, and show and write what came out.

    Args:
        parts: name, aim and items of each part.
        common: the options of every command.
        plot: the folder of plots and gallery, if any.
        answers: the file of every answer, if any.
        parallel: as --parallel has it.
        sources: files that no output may replace.
        extra: members of each line of ``--json``, beside those of a summary.

    Raises:
        Exit: with 130, after Ctrl-C.
    """
    from dvl2_cli.commands.resuming import JournaledEngine
    from dvl2_cli.engine.opening import open_engine
    from dvl2_cli.engine.session import Session
    from dvl2_cli.ui.console import Console
    from dvl2_cli.writers.collisions import check_outputs, refuse_picture

    if common.plan:
        raise UsageError("eval: --plan shows one request; see dvl2 ocr --plan")
    if answers is not None:
        refuse_picture(answers)
    check_outputs(_outputs(answers, plot), sources, UsageError)
    console = Console(common)
    session = Session(common, console.tell)
    defaults = session.defaults(max_tokens=0)
    results: list[ItemResult] = []
    summaries: list[EvalSummary] = []
    json_members = extra if common.json else None
    with contextlib.ExitStack() as stack:
        journal = _journal([name for name, _, _ in parts], session, stack, console)
        with console.busy("loading the model"):
            engine = open_engine(session)
        stack.callback(engine.close)
        console.introduce(engine.info.describe(), is_nano=engine.info.is_nano)
        asked = engine if journal is None else JournaledEngine(engine, journal, console.note)
        width = parallel_of(parallel) or engine.info.parallel
        stopped = _ask(asked, parts, defaults, width, console, results, summaries, json_members)
        if journal is not None and not stopped:
            journal.complete()
    if not common.json:
        _print_table(summaries, console)
    _write_files(results, summaries, plot, answers, engine.info.id)
    if stopped:
        console.note("stopped: these figures cover only what was answered")
        raise typer.Exit(130)


def _journal(
    names: Sequence[str], session: Session, stack: contextlib.ExitStack, console: Console
) -> Journal | None:
    """The answers of a killed evaluation; None where they cannot be kept or another has them."""
    from dvl2_cli.commands.resuming import entered, fingerprint, model_identity, state_journal
    from dvl2_cli.journal import JournalInUseError
    from dvl2_cli.user_folders import NoHomeError

    try:
        name = (str(Path.cwd()), list(names))
        journal = state_journal("eval", name, fingerprint(model_identity(session)))
        return entered(journal, stack, console)
    except (JournalInUseError, NoHomeError):
        return None


def _ask(
    engine: Engine,
    parts: Sequence[Part],
    defaults: RequestDefaults,
    parallel: int,
    console: Console,
    results: list[ItemResult],
    summaries: list[EvalSummary],
    extra: Mapping[str, object] | None,
) -> bool:
    """Ask every part, filling ``results`` and ``summaries``; True if Ctrl-C ended it.

    With ``extra``, every summary is a line of JSON.
    """
    from dvl2_cli.errors import CancelledError
    from dvl2_cli.evaluation.runner import run
    from dvl2_cli.evaluation.summary import summarise_part
    from dvl2_cli.ui.interrupts import Interrupts
    from dvl2_cli.ui.output import Output

    out = Output()
    with Interrupts(several=True) as interrupts:
        for name, bar, items in parts:
            asked: list[ItemResult] = []
            interrupts.begin()
            try:
                asking = run(engine, items, interrupts.cancel, defaults, parallel=parallel)
                for result in asking:
                    asked.append(result)
                    _progress(console, name, len(asked))
                    if interrupts.stop:
                        break
            except CancelledError:
                pass
            results += asked
            for summary in summarise_part(name, asked, bar):
                summaries.append(summary)
                if extra is not None:
                    out.json({**summary.as_json(), **extra})
            if interrupts.stop:
                return True
    return False


def _progress(console: Console, name: str, done: int) -> None:
    if console.err_is_tty and not console.quiet:
        sys.stderr.write(f"\r\x1b[K{name}: {done}")
        sys.stderr.flush()


def _print_table(summaries: list[EvalSummary], console: Console) -> None:
    from dvl2_cli.evaluation.report import HEADINGS, table_row

    if console.err_is_tty and not console.quiet:
        sys.stderr.write("\r\x1b[K")
    rows = [table_row(summary) for summary in summaries]
    if not console.out_is_tty:
        from dvl2_cli.ui.output import Output

        out = Output()
        for row in (HEADINGS, *rows):
            out.line("\t".join(row))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(*HEADINGS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.rich_out().print(table)


def _write_files(
    results: list[ItemResult],
    summaries: list[EvalSummary],
    plot: Path | None,
    answers: Path | None,
    title: str,
) -> None:
    if answers is not None:
        from dvl2_cli.evaluation.report import answer_row
        from dvl2_cli.files import atomic_write
        from dvl2_cli.results.lines import json_line

        with atomic_write(answers) as stream:
            for result in results:
                stream.write(json_line(answer_row(result)) + "\n")
    if plot is not None:
        from dvl2_cli.evaluation.gallery import GALLERY, write_gallery
        from dvl2_cli.evaluation.plots import write_plots
        from dvl2_cli.files import output_error

        try:
            plot.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(plot, error) from error
        write_plots(summaries, results, plot, title)
        write_gallery(results, plot / GALLERY)
