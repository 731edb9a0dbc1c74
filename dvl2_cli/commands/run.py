"""What the commands that ask a model share: the engine, requests, warnings, the exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from dvl2_cli.engine.events import Finished, Started, Token
from dvl2_cli.engine.request import Constraint, Message, Request, Sampling
from dvl2_cli.errors import CancelledError, Dvl2Error
from dvl2_cli.results.doubts import doubts
from dvl2_cli.results.envelope import Envelope, Model
from dvl2_cli.ui.console import NANO_NOTICE, Console
from dvl2_cli.ui.interrupts import Interrupts
from dvl2_cli.ui.output import Output

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.engine.engine import Engine
    from dvl2_cli.engine.plan_report import Planner
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.store.policy import Policy


def is_fatal(error: Dvl2Error) -> bool:
    """Whether an error would meet every other input too, so that going on is pointless."""
    return error.fatal


class Run:
    """One command's run. The model is opened at the first question, so that a mistyped file
    name does not wait for it.
    """

    def __init__(
        self, common: CommonOptions, *, max_tokens: int, several: bool, show_prompt: bool = False
    ) -> None:
        from dvl2_cli.engine.opening import effective_settings, sampling_of, tiles_of, zoom_of

        settings = effective_settings(common)
        self.common = common
        self.console = Console(common)
        self.output = Output()
        self.console.follow(self.output)
        self.interrupts = Interrupts(several=several)
        self.sampling = sampling_of(settings, max_tokens=max_tokens)
        self.tiles, self.zoom = tiles_of(settings), zoom_of(settings)
        self._show_prompt = show_prompt
        self._engine: Engine | None = None
        self._planner: Planner | None = None
        self._codes: list[int] = []
        self._usable = 0

    def __enter__(self) -> Run:
        self.interrupts.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.interrupts.__exit__(kind, error, trace)
        if error is not None and self.output.is_tty:
            with contextlib.suppress(Dvl2Error):
                self.output.end_line()  # what went wrong is said on a line of its own
        if self._engine is not None:
            self._engine.close()

    @property
    def engine(self) -> Engine:
        """The engine, opened when first asked for."""
        if self._engine is None:
            from dvl2_cli.engine.opening import open_engine

            self._engine = open_engine(self.common)
            if self._engine.info.is_nano:
                self.console.note_once(NANO_NOTICE)
        return self._engine

    @property
    def model(self) -> Model | None:
        """The model for results; None while it is not open."""
        return Model.of(self._engine.info) if self._engine is not None else None

    @property
    def policy(self) -> Policy:
        """What the model wants done around its answers."""
        policy = self._plans().policy if self.common.plan else self.engine.info.policy
        return policy.at_zoom(self.zoom)

    def request(
        self,
        question: str,
        images: Sequence[Image],
        *,
        constraint: Constraint | None = None,
        sampling: Sampling | None = None,
    ) -> Request:
        """One user turn about ``images``."""
        message = Message("user", question, tuple(images))
        if self._show_prompt:
            self.console.note_once(f"prompt: {message.shown}")
        return Request(
            (message,),
            sampling=sampling or self.sampling,
            constraint=constraint,
            tiles=self.tiles,
            zoom=self.zoom,
        )

    def ask(
        self,
        request: Request,
        on_text: Callable[[str], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> Finished:
        """The whole answer; ``on_text`` sees it as it comes, ``on_end`` is called at any end."""
        engine = self.engine
        self.interrupts.begin()
        try:
            answer = self._stream(engine, request, on_text)
        finally:
            if on_end is not None:
                on_end()
        self.console.stats(answer.usage)
        return answer

    def _stream(
        self, engine: Engine, request: Request, on_text: Callable[[str], None] | None
    ) -> Finished:
        for event in engine.stream(request, self.interrupts.cancel):
            if isinstance(event, Started):
                self.console.started(event)
            elif isinstance(event, Token) and on_text is not None:
                on_text(event.text)
            elif isinstance(event, Finished):
                return event
        raise RuntimeError("the engine ended without a Finished event")

    def ask_together(self, requests: Sequence[Request]) -> list[Finished]:
        """The answers to several requests, each as it would be alone."""
        engine = self.engine
        self.interrupts.begin()
        answers = engine.answer_batch(requests)
        for answer in answers:
            self.console.stats(answer.usage)
        return answers

    def doubts(self, answer: Finished, phrase: str | None = None) -> list[str]:
        """Warnings about an answer that its confidence gives reason for."""
        return doubts(answer.confidence, phrase)

    def count(self, result: Envelope, *, code: int = 0) -> None:
        """Take note of a result for the exit code, and show its warnings and error.

        ``code`` is for results that are written but count as a failure.
        """
        where = ""
        if result.source is not None:
            page = f" page {result.source.page}" if result.source.page is not None else ""
            where = f"{result.source.path}{page}: "
        for warning in result.warnings:
            self.console.warn(f"{where}{warning}")
        if result.error is not None:
            self.console.error(result.error.message, result.error.hint)
            self._codes.append(result.error.exit_code)
        elif code:
            self._codes.append(code)
        else:
            self._usable += 1

    def plan(self, request: Request, subject: str) -> None:
        """Take a request into the plan that ``finish`` shows; no model is loaded."""
        refusal = self._plans().add(request, subject)
        if refusal is None:
            self._usable += 1
            return
        self.console.error(f"{subject}: {refusal.message}", refusal.hint)
        self._codes.append(refusal.exit_code)

    def _plans(self) -> Planner:
        if self._planner is None:
            from dvl2_cli.engine.plan_report import Planner

            self._planner = Planner(self.common)
        return self._planner

    def finish(self) -> None:
        """End the command with the exit code that the results call for.

        Where everything failed for one reason the code is that reason's, else 1.

        Raises:
            OutOfMemoryError: what was planned does not fit.
        """
        if self._planner is not None:
            self._planner.show()
        if self.interrupts.stop:
            raise CancelledError("cancelled")
        if not self._codes:
            return
        alike = len(set(self._codes)) == 1 and not self._usable
        unusable = all(code == 5 for code in self._codes)
        raise typer.Exit(self._codes[0] if alike or unusable else 1)
