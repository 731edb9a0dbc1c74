"""A conversation on a terminal: the engine, the session, and one answer at a time."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dvl2_cli.chatting.model import ChatModel
from dvl2_cli.engine.events import Finished, Notice, Started
from dvl2_cli.engine.request import Request, Sampling
from dvl2_cli.history.session import ChatSession
from dvl2_cli.results.confidence import confidence_warnings
from dvl2_cli.tasks.ask import ask, counts
from dvl2_cli.tasks.context import Progress, Prompted, TaskContext
from dvl2_cli.tasks.endings import ending
from dvl2_cli.ui.console import Console
from dvl2_cli.ui.interrupts import Interrupts
from dvl2_cli.ui.stream import AnswerView, MarkdownView, PlainView, show_whole

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import Engine
    from dvl2_cli.engine.session import Session
    from dvl2_cli.inputs.picture import Picture
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.output import Output

MAX_TOKENS = 1024
# A greedy answer would come out the same again.
_RETRY_TEMPERATURE = 0.7


class Conversation:
    """What the prompt and its commands act on.

    Args:
        common: the shared options; ``/model`` and ``/stats`` replace some.
        session: settings and model.
        talk: what was asked and answered.
        output: where answers go.
        keep: whether history may have the talk.
    """

    def __init__(
        self,
        common: CommonOptions,
        session: Session,
        talk: ChatSession,
        output: Output,
        *,
        keep: bool,
    ) -> None:
        self.common, self.talk = common, talk
        self.settings = session.settings
        self.output, self.keep = output, keep
        self.console = Console(common)
        self.rich = self.console.rich_out()
        self.defaults = session.defaults(max_tokens=MAX_TOKENS)
        self.show_prompt = False
        self.show_images = self.settings.show_images
        self.tokens: int | None = None
        self.interrupted_at = float("-inf")  # monotonic seconds of the last Ctrl-C
        self.model = ChatModel(session, self.console)

    @property
    def engine(self) -> Engine:
        """The engine that answers; see `ChatModel.engine`."""
        return self.model.engine

    def set_stats(self, shown: bool) -> None:
        """Show the timing of each answer, or stop to."""
        self.common = replace(self.common, stats=shown)
        self.console = Console(self.common)

    def ask(self, question: str, *, sampling: Sampling | None = None) -> None:
        """Ask within the conversation, show the answer and keep both.

        A cancelled answer is kept as far as it came; if nothing came, the question's
        pictures stay pending.
        """
        messages = self.talk.messages(question)
        self.talk.unanswered = question  # until an answer comes: /retry asks it again
        defaults = self.defaults if sampling is None else replace(self.defaults, sampling=sampling)
        answer = self._show(defaults.request(messages))
        if answer.text:
            self.talk.add(question, answer.text, answer.finish_reason)
            self._save()

    def retry(self) -> None:
        """Ask the last question again, with some chance so that the answer differs.

        Raises:
            UsageError: nothing has been asked.
        """
        question = self.talk.unanswered
        if question is None:
            question = self.talk.undo()
        if question is None:
            from dvl2_cli.errors import UsageError

            raise UsageError("nothing has been asked yet")
        temperature = self.defaults.sampling.temperature or _RETRY_TEMPERATURE
        seed = secrets.randbelow(2**31)
        self.console.note(f"again, at temperature {temperature:g}")
        self.ask(
            question, sampling=replace(self.defaults.sampling, temperature=temperature, seed=seed)
        )

    def show_last(self) -> None:
        """Show the last question and its answer, as far as there are any."""
        if self.talk.turns:
            asked, answered = self.talk.turns[-2:]
            self.console.note(f"last question: {asked.text}")
            show_whole(self._view(), answered.text)

    def latest_pictures(self) -> list[Picture]:
        """The pending pictures, or else those of the last question that had any."""
        if self.talk.pending:
            return list(self.talk.pending)
        for turn in reversed(self.talk.turns):
            if turn.pictures:
                return list(turn.pictures)
        return []

    @contextlib.contextmanager
    def context(self, *, stats: bool = False) -> Iterator[TaskContext]:
        """What tasks work with; inside, Ctrl-C ends the answer instead of the chat.

        ``stats`` shows the timing of every answer when it ends, where timing is shown at all.
        """
        engine = self.engine  # opened before anything is shown: loading writes to stderr
        with Interrupts(several=False) as interrupts:
            interrupts.begin()
            on_event = self._on_event_with_stats if stats else self._on_event
            yield TaskContext(engine, self.defaults, interrupts.cancel, on_event)
            if interrupts.cancel.is_set():
                self.interrupted_at = time.monotonic()

    def _show(self, request: Request) -> Finished:
        with self.context() as context:
            if counts(context, request):
                answer = ask(context, request)
                show_whole(self._view(), answer.text)
            else:
                view = self._view()
                try:
                    answer = ask(context, request, view.feed)
                finally:
                    view.close()
        self._remark(answer)
        return answer

    def _on_event(self, event: Progress) -> None:
        if isinstance(event, Started):
            self.console.started(event)
            self.tokens = event.cost.prompt_tokens or None
        elif isinstance(event, Finished):
            self.tokens = event.usage.prompt_tokens + event.usage.completion_tokens
        elif isinstance(event, Notice):
            self.console.tell(event)
        elif isinstance(event, Prompted) and self.show_prompt:
            self.console.note(f"prompt: {event.text}")

    def _view(self) -> AnswerView:
        if self.console.colour and self.settings.markdown:
            return MarkdownView(self.rich)
        return PlainView(self.output)

    def _on_event_with_stats(self, event: Progress) -> None:
        self._on_event(event)
        if isinstance(event, Finished):
            self.console.stats(event.usage)

    def _remark(self, answer: Finished) -> None:
        end = ending(answer.finish_reason, answer.usage.completion_tokens)
        if end is not None:
            more = "; /retry, or ask otherwise" if answer.finish_reason == "loop" else ""
            self.console.note(f"{end}{more}")
        if answer.finish_reason != "cancelled":
            for warning in confidence_warnings(answer.confidence):
                self.console.note_once(f"warning: {warning}")
        self.console.stats(answer.usage)

    def _save(self) -> None:
        if not self.keep:
            return
        from dvl2_cli.history.keeping import keep_session

        keep_session(self.talk, self.engine.info.id, self.console.note_once)
