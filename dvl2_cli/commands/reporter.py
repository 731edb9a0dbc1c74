"""How a command that asks a model speaks to its user: progress, warnings, the exit code."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from dvl2_cli.engine.events import Finished, Notice, Started, Token
from dvl2_cli.engine.request import Request
from dvl2_cli.engine.session import Session
from dvl2_cli.errors import CancelledError, Dvl2Error
from dvl2_cli.inputs.picture import Unreadable
from dvl2_cli.results.envelope import Envelope, ModelRecord
from dvl2_cli.tasks.context import Progress, Prompted, TaskContext
from dvl2_cli.ui.console import Console
from dvl2_cli.ui.interrupts import Interrupts
from dvl2_cli.ui.output import Output
from dvl2_cli.ui.progress import listed, short_name

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import Engine
    from dvl2_cli.engine.plan_report import Planner
    from dvl2_cli.inputs.picture import Picture
    from dvl2_cli.options import CommonOptions

Wrap = Callable[["Engine"], "Engine"]


class Reporter:
    """One command's console, output and exit code, and the engine that it opened.

    The model is opened at the first question, so that a mistyped file name does not wait for it.

    Attributes:
        session: settings, model, device and plan.
        defaults: what every request shares.
        wrap: is given the engine when it is opened, and returns the one to ask.
    """

    def __init__(
        self, common: CommonOptions, *, max_tokens: int, several: bool, show_prompt: bool = False
    ) -> None:
        self.common = common
        self.console = Console(common)
        self.output = Output()
        self.console.follow(self.output)
        self.interrupts = Interrupts(several=several)
        self.session = Session(common, self.console.tell)
        self.session.check_packages()
        self.defaults = self.session.defaults(max_tokens=max_tokens)
        self.wrap: Wrap = lambda engine: engine
        self._show_prompt = show_prompt
        self._engine: Engine | None = None
        self._context: TaskContext | None = None
        self._opening = threading.Lock()
        self._codes: list[int] = []
        self._usable = 0
        self._failed: list[str] = []
        self._subject = ""
        self._document = ""
        self._has_begun = False

    def __enter__(self) -> Reporter:
        self.interrupts.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.interrupts.__exit__(kind, error, trace)
        self.console.progress.pause()
        if error is not None and self.output.is_tty:
            with contextlib.suppress(Dvl2Error):
                self.output.end_line()  # what went wrong is said on a line of its own
        if self._engine is not None:
            self._engine.close()

    @property
    def context(self) -> TaskContext:
        """What tasks work with; the model is opened for it, by whoever asks first."""
        with self._opening:
            if self._context is None:
                self._context = self._open()
            return self._context

    def _open(self) -> TaskContext:
        from dvl2_cli.engine.opening import open_lasting_engine

        self.console.doing("loading the model")
        self._engine = open_lasting_engine(self.session)
        if self._engine.info.is_nano:
            self.console.note_nano()
        self.interrupts.begin()
        engine, cancel = self.wrap(self._engine), self.interrupts.cancel
        return TaskContext(engine, self.defaults, cancel, self.on_event)

    @property
    def model(self) -> ModelRecord | None:
        """The model for results; None while it is not open."""
        return ModelRecord.of(self._engine.info) if self._engine is not None else None

    def begin(self, found: Picture | Unreadable) -> None:
        """An input or a page of one is next: name it where a person waits for it."""
        self._subject = short_name(found.path)
        if isinstance(found, Unreadable):
            return
        if found.page is not None:
            of = f" of {found.pages}" if found.page <= found.pages else ""
            self._subject += f" page {found.page}{of}"
        if found.path != self._document:
            # A document was expected as one input, and is as many as it has pages.
            self.console.progress.expect(found.pages - 1)
        self._document = found.path
        self.console.doing(self._subject)

    def on_event(self, event: Progress) -> None:
        """Show what is being done, and what was asked for; see ``tell``."""
        if isinstance(event, Prompted):
            self._has_begun = False
            self.console.doing(f"looking at {self._subject}" if self._subject else "looking")
        elif isinstance(event, Token) and not self._has_begun:
            self._has_begun = True
            self.console.doing(f"reading {self._subject}" if self._subject else "writing")
        self.tell(event)

    def tell(self, event: Progress) -> None:
        """Show what --verbose, --stats and --show-prompt ask for."""
        if isinstance(event, Started):
            self.console.started(event)
        elif isinstance(event, Notice):
            self.console.tell(event)
        elif isinstance(event, Finished):
            self.console.stats(event.usage)
        elif isinstance(event, Prompted) and self._show_prompt:
            self.console.note_once(f"prompt: {event.text}")

    def count(self, result: Envelope, *, code: int = 0) -> None:
        """Take note of a result for the exit code, and show its warnings and error.

        ``code`` is for results that are written but count as a failure.
        """
        where = ""
        if result.source is not None:
            where = f"{result.source.name}: "
        for warning in result.warnings:
            self.console.warn(f"{where}{warning}")
        if result.error is not None:
            self.console.error(result.error.message, result.error.hint)
            self._codes.append(result.error.exit_code)
        elif code:
            self._codes.append(code)
        else:
            self._usable += 1
        if result.error is not None or code:
            self._failed.append(where.removesuffix(": "))
        self.console.progress.advance()

    def conclude(self, verb: str) -> None:
        """Of several inputs, say on a terminal how many were ``verb``, and which failed."""
        several = self._usable + len(self._failed) > 1
        if several and self.console.err_is_tty and not self.common.plan:
            self.console.progress.close()
            failed = f", {len(self._failed)} failed: {listed(self._failed)}" if self._failed else ""
            self.console.note(f"{self._usable} {verb}{failed}")

    @functools.cached_property
    def planner(self) -> Planner:
        """Takes the requests of --plan; no model is loaded."""
        from dvl2_cli.engine.plan_report import Planner

        return Planner(self.session)

    def plan(self, request: Request, subject: str) -> None:
        """Take a request into the plan that ``finish`` shows."""
        if self._show_prompt:
            self.console.note_once(f"prompt: {request.messages[-1].shown}")
        refusal = self.planner.add(request, subject)
        if refusal is None:
            self._usable += 1
            return
        self.console.error(f"{subject}: {refusal.message}", refusal.hint)
        self._codes.append(refusal.exit_code)

    def finish(self) -> None:
        """End the command with the exit code that the results call for.

        Where everything failed for one reason the code is that reason's, else 1.

        Raises:
            OutOfMemoryError: what was planned does not fit.
        """
        if "planner" in self.__dict__:
            self._show_plan()
        if self.interrupts.stop:
            raise CancelledError("cancelled")
        if not self._codes:
            return
        alike = len(set(self._codes)) == 1 and not self._usable
        unusable = all(code == 5 for code in self._codes)
        raise typer.Exit(self._codes[0] if alike or unusable else 1)

    def _show_plan(self) -> None:
        """Write the plan to stdout: tables, or with ``--json`` one line."""
        from dvl2_cli.commands.plan_table import render_plan

        report = self.planner.report()
        if self.common.json:
            self.output.json(report.row().as_json())
        else:
            render_plan(report, self.console.rich_out())
        if report.refusal is not None:
            raise report.refusal
