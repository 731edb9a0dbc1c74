"""What a task works with: the engine it asks, what its requests share, and whom it tells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.events import Event, Finished, Notice, Token
from dvl2_cli.engine.request import Constraint, Message, Request, RequestDefaults
from dvl2_cli.prompts import Question
from dvl2_cli.results.envelope import ModelRecord
from dvl2_cli.store.policy import Policy

if TYPE_CHECKING:
    from PIL.Image import Image

OnText = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prompted:
    """The exact words of a question that is about to be asked."""

    text: str


Progress = Event | Notice | Prompted


def _ignore(event: Progress) -> None:
    del event


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The engine of a task, and what all of its questions share.

    Attributes:
        engine: is asked.
        defaults: sampling, tiles and zoom of the requests.
        cancel: ends the answer that is being written, when set.
        on_event: sees what every question asks, and how its answer comes and ends.
    """

    engine: Engine
    defaults: RequestDefaults = field(default_factory=RequestDefaults)
    cancel: threading.Event | None = None
    on_event: Callable[[Progress], None] = _ignore

    @property
    def policy(self) -> Policy:
        """What the model wants done around its answers."""
        return self.engine.info.policy.at_zoom(self.defaults.zoom)

    @property
    def model(self) -> ModelRecord:
        """The model for results."""
        return ModelRecord.of(self.engine.info)

    @property
    def cancelled(self) -> bool:
        """Whether no further question should be asked."""
        return self.cancel is not None and self.cancel.is_set()

    def answer(self, request: Request, on_text: OnText | None = None) -> Finished:
        """The model's whole answer; ``on_text`` sees it as it comes.

        Raises:
            ContextOverflowError: the prompt leaves no room for an answer.
            OutOfMemoryError: the device ran out of memory.
        """
        self.on_event(Prompted(request.messages[-1].shown))
        for event in self.engine.stream(request, self.cancel):
            self.on_event(event)
            if isinstance(event, Token) and on_text is not None:
                on_text(event.text)
            elif isinstance(event, Finished):
                return event
        raise RuntimeError("the engine ended without a Finished event")


def question_about(
    defaults: RequestDefaults,
    question: str | Question,
    images: Sequence[Image],
    constraint: Constraint | None = None,
) -> Request:
    """One user turn about ``images`` (upright, RGB)."""
    asked = question if isinstance(question, Question) else Question(question)
    message = Message("user", asked.text, tuple(images), literal=asked.literal)
    return defaults.request((message,), constraint)
