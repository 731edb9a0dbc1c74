"""The messages of OpenAI's request as the engine's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from PIL.Image import Image

from dvl2_cli.engine.request import Message
from dvl2_cli.server.http.chat_body import ChatMessage, ImagePart, TextPart
from dvl2_cli.server.http.images import image_at
from dvl2_cli.server.http.refusals import invalid, unsupported
from dvl2_cli.server.http.service import Service

_LOW = "detail low for some pictures and not for others"


@dataclass(slots=True)
class ChatTurns:
    """What the messages say; ``low`` has for each picture whether its thumbnail is enough."""

    service: Service
    messages: list[Message] = field(default_factory=list)
    low: list[bool] = field(default_factory=list)

    @property
    def tiles(self) -> int | None:
        """The most tiles of a picture: none for thumbnails.

        Raises:
            RefusalError: only some pictures are thumbnails.
        """
        if any(self.low) and not all(self.low):
            raise unsupported(_LOW)
        return 0 if any(self.low) else None

    def add(self, message: ChatMessage, where: str, places: Sequence[int] | None) -> None:
        """Append a turn; ``where`` names it, ``places`` are those of its pictures if known.

        Raises:
            RefusalError: it holds what such a turn cannot hold.
        """
        content = message.content
        parts = [TextPart(type="text", text=content)] if isinstance(content, str) else content or []
        if message.role in ("user", "tool"):
            self.messages.append(self._turn(parts, where, places))
            return
        if any(isinstance(part, ImagePart) for part in parts):
            raise invalid(f"{where}: only a user's message may hold a picture", where)
        text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
        if message.role == "assistant":
            calls = [call.function.arguments for call in message.tool_calls or ()]
            self.messages.append(
                Message("assistant", "\n".join([*([text] if text else []), *calls]))
            )
        else:
            self._add_system(text, where)

    def _add_system(self, text: str, where: str) -> None:
        """Several system messages at the start are one."""
        if any(message.role != "system" for message in self.messages):
            raise invalid(f"{where}: a system message has to be the first", where)
        before = [message.content for message in self.messages]
        self.messages[:] = [Message("system", "\n\n".join([*before, text]))]

    def _turn(
        self, parts: Sequence[TextPart | ImagePart], where: str, places: Sequence[int] | None
    ) -> Message:
        joined = list(_joined(parts))
        images = tuple(
            self._image(part, f"{where}.content.{index}.image_url")
            for index, part in enumerate(parts)
            if isinstance(part, ImagePart)
        )
        text = "".join(part for part in joined if part is not None)
        if places is None:
            places = _places(joined)
        elif (
            len(places) != len(images)
            or list(places) != sorted(places)
            or (places and not 0 <= places[0] <= places[-1] <= len(text))
        ):
            raise invalid("dvl2.places does not fit the messages", "dvl2.places")
        return Message("user", text, images, None if not places else tuple(places))

    def _image(self, part: ImagePart, where: str) -> Image:
        most = self.service.options.limits.images
        if len(self.low) >= most:
            raise invalid(f"the conversation has more than {most} pictures", "messages")
        self.low.append(part.image_url.detail == "low")
        return image_at(self.service, part.image_url.url, where).image


def turns_of(
    service: Service,
    messages: Sequence[ChatMessage],
    places: Sequence[Sequence[int] | None] | None = None,
) -> ChatTurns:
    """The conversation that ``messages`` are.

    Raises:
        RefusalError: it is none that can be answered.
    """
    if places is not None and len(places) != len(messages):
        raise invalid("dvl2.places has not one entry for each message", "dvl2.places")
    if messages[-1].role == "assistant":
        raise unsupported("an assistant's message at the end", ": let a user's be the last")
    conversation = ChatTurns(service)
    for index, message in enumerate(messages):
        given = None if places is None else places[index] or ()
        conversation.add(message, f"messages.{index}", given)
    return conversation


def with_literal(
    messages: Sequence[Message], literal: Sequence[Sequence[Sequence[int]]]
) -> list[Message]:
    """``messages`` with the spans of each in which tags are text.

    Raises:
        RefusalError: the spans do not fit the messages.
    """
    try:
        return [
            replace(message, literal=tuple((start, end) for start, end in spans))
            for message, spans in zip(messages, literal, strict=True)
        ]
    except ValueError as error:
        raise invalid("dvl2.literal does not fit the messages", "dvl2.literal") from error


def _joined(parts: Sequence[TextPart | ImagePart]) -> Iterator[str | None]:
    """Texts, with None for each picture; texts side by side are lines."""
    before: TextPart | ImagePart | None = None
    for part in parts:
        if isinstance(part, ImagePart):
            yield None
        else:
            yield f"\n{part.text}" if isinstance(before, TextPart) else part.text
        before = part


def _places(joined: Sequence[str | None]) -> list[int]:
    """Before which character each picture belongs; empty where they lead the text.

    A lone picture after the text is put first, where the model was trained to see it.
    """
    places, length = [], 0
    for part in joined:
        if part is None:
            places.append(length)
        else:
            length += len(part)
    leads = not any(places)
    lone_at_end = len(places) == 1 and places[0] == length
    return [] if leads or lone_at_end else places
