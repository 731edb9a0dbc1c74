"""``--parallel``: how many pictures are asked about at once, and their results in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from dvl2_cli.engine.events import Token
from dvl2_cli.errors import Dvl2Error
from dvl2_cli.options import AUTO, parallel_of
from dvl2_cli.ordered import in_order
from dvl2_cli.tasks.context import OnText, Progress, TaskContext

if TYPE_CHECKING:
    from dvl2_cli.commands.reporter import Reporter
    from dvl2_cli.inputs.picture import Picture

_Result = TypeVar("_Result")


@dataclass
class Job(Generic[_Result]):
    """One input: its result, or how to get it.

    Attributes:
        result: where no model is needed.
        picture: that ``work`` is about.
        work: asks the model; is given where to ask and whom to show the text as it comes.
        stream: who that is, where inputs come one by one; None for nobody.
        events: what was told while it was worked on beside others.
    """

    result: _Result | None = None
    picture: Picture | None = None
    work: Callable[[Callable[[], TaskContext], OnText | None], _Result] | None = None
    stream: Callable[[], OnText | None] = lambda: None
    events: list[Progress] = field(default_factory=list)


def worked_on(
    reporter: Reporter, jobs: Iterable[Job[_Result]], parallel: str, *, several: bool
) -> Iterator[tuple[Job[_Result], _Result]]:
    """Every job with its result, in order; see ``in_order``.

    Args:
        reporter: opens the model and shows what happens.
        jobs: one for each input.
        parallel: as --parallel has it.
        several: whether "auto" may be more than one: a lone answer is shown as it comes.

    Raises:
        UsageError: ``parallel`` is not what --parallel takes.
    """
    wanted = parallel_of(parallel) if several or parallel != AUTO else 1
    coming = iter(jobs)
    ready: list[Job[_Result]] = []
    if wanted is None:
        # How many are worth it is known when the model is open: for the first who needs it.
        for job in coming:
            ready.append(job)
            if job.work is not None:
                break
            yield job, _known(job)
            ready.clear()
            if reporter.interrupts.stop:
                return
        wanted = _worth(reporter) if ready else 1
    single = wanted == 1

    def work(job: Job[_Result]) -> tuple[Job[_Result], _Result]:
        if job.work is None:
            return job, _known(job)
        if single:
            assert job.picture is not None  # noqa: S101
            reporter.begin(job.picture)
            return job, job.work(lambda: reporter.context, job.stream())
        return job, job.work(lambda: _told_later(reporter.context, job), None)

    def begun() -> Iterator[Job[_Result]]:
        for source in (ready, coming):
            for job in source:
                if job.picture is not None and not single:
                    reporter.begin(job.picture)
                yield job

    stop, cancel = (lambda: reporter.interrupts.stop), reporter.interrupts.cancel
    for job, result in in_order(begun(), work, wanted, stop=stop, abort=cancel.set):
        for event in job.events:
            reporter.tell(event)
        yield job, result


def _known(job: Job[_Result]) -> _Result:
    assert job.result is not None  # noqa: S101
    return job.result


def _worth(reporter: Reporter) -> int:
    """How many requests the model gains by; 1 where it cannot be opened, which is said later."""
    try:
        return reporter.context.engine.info.parallel
    except Dvl2Error as error:
        if error.fatal:
            raise
        return 1


def _told_later(context: TaskContext, job: Job[_Result]) -> TaskContext:
    """``context`` whose events wait until it is the job's turn."""

    def keep(event: Progress) -> None:
        if not isinstance(event, Token):
            job.events.append(event)

    return dataclasses.replace(context, on_event=keep)
