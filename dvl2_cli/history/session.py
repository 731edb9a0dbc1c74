"""A conversation as plain data: turns, their pictures, and how each answer ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dvl2_cli.engine.request import Message
from dvl2_cli.errors import UsageError
from dvl2_cli.prompts import with_images

if TYPE_CHECKING:
    from dvl2_cli.inputs.picture import Picture

IMAGE_TAG = "<image>"
Speaker = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One question or answer. ``text`` has no image tags; ``pictures`` belong to a question."""

    role: Speaker
    text: str
    pictures: tuple[Picture, ...] = ()
    finish_reason: str | None = None

    def message(self) -> Message:
        """The turn as the engine takes it; tags that the user wrote place the pictures.

        Raises:
            UsageError: the user wrote another number of tags than there are pictures.
        """
        images = tuple(picture.image for picture in self.pictures)
        if self.role == "assistant":
            # What a model says stands for no picture.
            return Message(self.role, self.text.replace(IMAGE_TAG, "< image >"))
        written = self.text.count(IMAGE_TAG)
        if written and written != len(images):
            raise UsageError(
                f"the question has {written} {IMAGE_TAG} tags for {len(images)} pictures",
                "Leave the tags out: they are added.",
            )
        return Message(
            self.role, self.text if written else with_images(self.text, len(images)), images
        )


@dataclass(slots=True)
class Session:
    """A conversation; ``id`` is None until history keeps it.

    ``pending`` are pictures that the next question takes along.
    """

    system: str | None = None
    turns: list[Turn] = field(default_factory=list)
    pending: list[Picture] = field(default_factory=list)
    id: str | None = None

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

    def undo(self) -> str | None:
        """Remove the last exchange; its pictures are pending again. The question, or None."""
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
        self.id = None
