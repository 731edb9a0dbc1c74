"""Asking a benchmark's questions, raw, and grading what comes back."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Protocol

from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import RequestDefaults, Sampling
from dvl2_cli.errors import CancelledError, Dvl2Error
from dvl2_cli.evaluation.benchmarks.item import BenchmarkItem
from dvl2_cli.evaluation.benchmarks.plan import BenchmarkPlan
from dvl2_cli.ordered import in_order
from dvl2_cli.results.benchmark import BenchmarkAnswer
from dvl2_cli.results.envelope import ModelRecord

if TYPE_CHECKING:
    from dvl2_cli.tasks.context import TaskContext

# As VLMEvalKit's adapter asks: greedy, and never cut short by a guard of ours.
MAX_TOKENS = 2048


class Kept(Protocol):
    """Answers of a killed run, by a question's id."""

    def answer(self, key: str) -> dict[str, Any] | None:
        """The one kept under ``key``."""

    def keep(self, key: str, answer: dict[str, Any]) -> None:
        """Keep one."""


def greedy(defaults: RequestDefaults) -> RequestDefaults:
    """``defaults`` with the sampling of every benchmark."""
    return replace(defaults, sampling=Sampling(max_new_tokens=MAX_TOKENS))


def ask_all(
    context: TaskContext, plan: BenchmarkPlan, kept: Kept | None = None, parallel: int = 1
) -> Iterator[BenchmarkAnswer]:
    """Ask the questions of ``plan``, ``parallel`` at once; those in ``kept`` are not asked again.

    A question that cannot be asked, for example because its picture cannot be decoded, gives a row
    with its error.

    Raises:
        CancelledError: the context was cancelled.
        Dvl2Error: one that would meet every other question too.
    """
    cancel = context.cancel or threading.Event()
    context = replace(context, cancel=cancel)

    def ask_one(item: BenchmarkItem) -> BenchmarkAnswer:
        key = _key(item)
        found = None if kept is None else kept.answer(key)
        if found is not None:
            return _from_kept(found)
        answer = _ask(context, plan, item)
        if kept is not None and answer.error is None:
            kept.keep(key, asdict(answer))
        return answer

    yield from in_order(plan.items(), ask_one, parallel, abort=cancel.set)


def _key(item: BenchmarkItem) -> str:
    return f"{item.id} {hashlib.sha256(item.text.encode()).hexdigest()[:16]}"


def _ask(context: TaskContext, plan: BenchmarkPlan, item: BenchmarkItem) -> BenchmarkAnswer:
    start = time.perf_counter()
    blank = BenchmarkAnswer(
        benchmark=plan.benchmark.name,
        id=item.id,
        unit=item.unit,
        unit_size=plan.sizes[item.unit],
        group=item.group,
        row=item.row.place,
        prompt=item.text,
        references=item.references,
        model=context.model,
    )
    try:
        images = item.pictures()
        message = item.message(images)
        request = replace(context.defaults.request((message,)), loop_guard=False)
        finished = context.answer(request)
    except Dvl2Error as error:
        if error.fatal or isinstance(error, CancelledError):
            raise
        return replace(blank, error=error)
    if finished.finish_reason == "cancelled":
        raise CancelledError("the evaluation was stopped")
    sizes = tuple(image.size for image in images)
    graded = item.grade(_compared(item, finished), sizes)
    return replace(
        blank,
        prompt=message.shown,
        answer=finished.raw if item.with_tags else finished.text,
        prediction=graded.prediction,
        score=graded.score,
        seconds=round(time.perf_counter() - start, 4),
        tokens=finished.usage.completion_tokens,
        finish_reason=finished.finish_reason,
    )


def _compared(item: BenchmarkItem, finished: Finished) -> str:
    """What is graded: the adapter takes full stops off the end."""
    return finished.raw if item.with_tags else finished.text.rstrip(".")


def _from_kept(found: dict[str, Any]) -> BenchmarkAnswer:
    model = ModelRecord(**found.pop("model"))
    references = tuple(found.pop("references"))
    return BenchmarkAnswer(**found, model=model, references=references)
