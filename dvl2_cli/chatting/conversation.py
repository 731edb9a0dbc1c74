"""A conversation on a terminal: the engine, the session, and one answer at a time."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dvl2_cli.engine.events import Finished, Started, Token
from dvl2_cli.engine.request import Constraint, Message, Request, Sampling
from dvl2_cli.errors import Dvl2Error
from dvl2_cli.history.session import Session
from dvl2_cli.results.doubts import doubts
from dvl2_cli.tasks.grounding.counting import asks_how_many, count
from dvl2_cli.ui.console import NANO_NOTICE, Console
from dvl2_cli.ui.interrupts import Interrupts
from dvl2_cli.ui.stream import AnswerView, MarkdownView, PlainView, show_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from dvl2_cli.engine.engine import Engine
    from dvl2_cli.inputs.picture import Picture
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.settings import Settings
    from dvl2_cli.store.policy import Policy
    from dvl2_cli.ui.output import Output

MAX_TOKENS = 1024
# A greedy answer would come out the same again.
_RETRY_TEMPERATURE = 0.7


class Conversation:
    """What the prompt and its commands act on.

    Args:
        common: the shared options; ``/model`` and ``/stats`` replace some.
        settings: the settings under ``common``.
        session: what has been said.
        output: where answers go.
        keep: whether history may have the session.
    """

    def __init__(
        self,
        common: CommonOptions,
        settings: Settings,
        session: Session,
        output: Output,
        *,
        keep: bool,
    ) -> None:
        from dvl2_cli.engine.opening import sampling_of, tiles_of, zoom_of

        self.common, self.settings, self.session = common, settings, session
        self.output, self.keep = output, keep
        self.console = Console(common)
        self.rich = self.console.rich_out()
        self.sampling = sampling_of(settings, max_tokens=MAX_TOKENS)
        self.tiles, self.zoom = tiles_of(settings), zoom_of(settings)
        self.show_prompt = False
        self.show_images = settings.show_images
        self.tokens: int | None = None
        self.interrupted_at = float("-inf")  # monotonic seconds of the last Ctrl-C
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, opened when first asked for.

        Raises:
            ModelError: the model is missing or broken.
        """
        if self._engine is None:
            from dvl2_cli.engine.opening import open_engine

            self._engine = open_engine(self.common)
            if self._engine.info.is_nano:
                self.console.note_once(NANO_NOTICE)
        return self._engine

    def close(self) -> None:
        """Free the model."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def use_model(self, name: str) -> None:
        """Answer with another model from here on; after a failure the old one stays.

        Raises:
            ModelError: the model is missing or broken.
        """
        before = self.common
        self.close()  # two models would not fit side by side
        self.common = replace(before, model=name)
        try:
            _ = self.engine
        except Dvl2Error:
            self.common = before
            raise

    def set_stats(self, shown: bool) -> None:
        """Show the timing of each answer, or stop to."""
        self.common = replace(self.common, stats=shown)
        self.console = Console(self.common)

    def ask(self, question: str, *, sampling: Sampling | None = None) -> None:
        """Ask within the conversation, show the answer and keep both.

        A cancelled answer is kept as far as it came; if nothing came, the question's
        pictures stay pending.
        """
        messages = self.session.messages(question)
        if self.show_prompt:
            self.console.note(f"prompt: {messages[-1].shown}")
        answer = self._show(
            Request(messages, sampling or self.sampling, tiles=self.tiles, zoom=self.zoom)
        )
        if answer.text:
            self.session.add(question, answer.text, answer.finish_reason)
            self._save()

    def ask_apart(
        self, question: str, images: Sequence[Image], constraint: Constraint | None = None
    ) -> Finished:
        """Ask about ``images`` (upright, RGB) alone, outside the conversation, without showing the
        answer.
        """
        return self._stream(self._apart(question, images, constraint), None)

    @property
    def policy(self) -> Policy:
        """What the model wants done around its answers."""
        return self.engine.info.policy.at_zoom(self.zoom)

    def show_apart(self, question: str, pictures: list[Picture]) -> None:
        """Ask about ``pictures`` alone and show the answer, which the session does not keep."""
        self._show(self._apart(question, [picture.image for picture in pictures], None))

    def retry(self) -> None:
        """Ask the last question again, with some chance so that the answer differs.

        Raises:
            UsageError: nothing has been asked.
        """
        question = self.session.undo()
        if question is None:
            from dvl2_cli.errors import UsageError

            raise UsageError("nothing has been asked yet")
        temperature = self.sampling.temperature or _RETRY_TEMPERATURE
        seed = secrets.randbelow(2**31)
        self.console.note(f"again, at temperature {temperature:g}")
        self.ask(question, sampling=replace(self.sampling, temperature=temperature, seed=seed))

    def latest_pictures(self) -> list[Picture]:
        """The pending pictures, or else those of the last question that had any."""
        if self.session.pending:
            return list(self.session.pending)
        for turn in reversed(self.session.turns):
            if turn.pictures:
                return list(turn.pictures)
        return []

    def _apart(
        self, question: str, images: Sequence[Image], constraint: Constraint | None
    ) -> Request:
        message = Message("user", question, tuple(images))
        if self.show_prompt:
            self.console.note(f"prompt: {message.shown}")
        return Request((message,), self.sampling, constraint, self.tiles, self.zoom)

    def _show(self, request: Request) -> Finished:
        _ = self.engine  # opened before the spinner: loading writes to stderr
        if asks_how_many(request) and self.policy.count_by_boxes:
            answer = count(request, lambda asked: self._stream(asked, None))
            show_whole(self._view(), answer.text)
        else:
            view = self._view()
            try:
                answer = self._stream(request, view)
            finally:
                view.close()
        self._remark(answer)
        return answer

    def _view(self) -> AnswerView:
        if self.console.colour and self.settings.markdown:
            return MarkdownView(self.rich)
        return PlainView(self.output)

    def _stream(self, request: Request, view: AnswerView | None) -> Finished:
        with Interrupts(several=False) as interrupts:
            interrupts.begin()
            for event in self.engine.stream(request, interrupts.cancel):
                if isinstance(event, Started):
                    self.console.started(event)
                    self.tokens = event.cost.prompt_tokens or None
                elif isinstance(event, Token) and view is not None:
                    view.feed(event.text)
                elif isinstance(event, Finished):
                    if event.finish_reason == "cancelled":
                        self.interrupted_at = time.monotonic()
                    self.tokens = event.usage.prompt_tokens + event.usage.completion_tokens
                    return event
        raise RuntimeError("the engine ended without a Finished event")

    def _remark(self, answer: Finished) -> None:
        endings = {
            "cancelled": "stopped",
            "loop": "the answer repeated itself and was stopped; /retry, or ask otherwise",
            "length": "the answer was cut at --max-tokens",
        }
        if answer.finish_reason in endings:
            self.console.note(endings[answer.finish_reason])
        if answer.finish_reason != "cancelled":
            for doubt in doubts(answer.confidence):
                self.console.note_once(f"warning: {doubt}")
        self.console.stats(answer.usage)

    def _save(self) -> None:
        if not self.keep:
            return
        from dvl2_cli.history.keeping import keep_session

        keep_session(self.session, self.engine.info.id, self.console)
