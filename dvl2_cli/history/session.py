"""A conversation as plain data: turns, their pictures, and how each answer ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dvl2_cli.engine.request import Message

if TYPE_CHECKING:
    from dvl2_cli.inputs.picture import Picture

Speaker = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One question or answer. ``pictures`` belong to a question."""

    role: Speaker
    text: str
    pictures: tuple[Picture, ...] = ()
    finish_reason: str | None = None

    def message(self) -> Message:
        """The turn as the engine takes it: the pictures come before the question."""
        return Message(self.role, self.text, tuple(picture.image for picture in self.pictures))


@dataclass(slots=True)
class ChatSession:
    """A conversation; ``id`` is None until history keeps it.

    ``pending`` are pictures that the next question takes along. ``unanswered`` is the question
    that was asked last, if nothing of an answer came; it is no turn.
    """

    system: str | None = None
    turns: list[Turn] = field(default_factory=list)
    pending: list[Picture] = field(default_factory=list)
    id: str | None = None
    unanswered: str | None = None

    def messages(self, question: str | None = None) -> tuple[Message, ...]:
        """What the engine is asked; ``question`` takes the pending pictures."""
        system = [Message("system", self.system)] if self.system else []
        asked = [] if question is None else [Turn("user", question, tuple(self.pending))]
        return (*system, *(turn.message() for turn in [*self.turns, *asked]))

    def add(self, question: str, answer: str, finish_reason: str) -> None:
        """Append a question, which takes the pending pictures, and its answer."""
        self.turns.append(Turn("user", question, tuple(self.pending)))
        self.turns.append(Turn("assistant", answer, finish_reason=finish_reason))
        self.pending.clear()
        self.unanswered = None

    def undo(self) -> str | None:
        """Remove the last exchange; its pictures are pending again. The question, or None."""
        self.unanswered = None
        if not self.turns:
            return None
        self.turns.pop()
        asked = self.turns.pop()
        self.pending[:0] = asked.pictures
        return asked.text

    def pictures(self) -> list[Picture]:
        """Every picture, in prompt order, the pending ones last."""
        return [picture for turn in self.turns for picture in turn.pictures] + self.pending

    def clear(self) -> None:
        """Start anew under the same system prompt; history keeps the old conversation."""
        self.turns.clear()
        self.pending.clear()
        self.unanswered = None
        self.id = None
