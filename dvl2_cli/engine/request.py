"""What a command asks of an engine; plain data, no torch.

Text is text: nothing that it spells stands for a picture or for a control token. It has to be
Unicode that can be written as UTF-8, or the request is refused where it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from deepseek_vl_v2.format.template import Verbatim
from dvl2_cli.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

Role = Literal["system", "user", "assistant"]
Tiles = int | Literal["auto"] | None
Zoom = float | Literal["auto"] | None
_WHAT: dict[Role, str] = {
    "system": "the system prompt",
    "user": "the question",
    "assistant": "an earlier answer",
}


def check_text(text: str, what: str) -> None:
    """Refuse text that is not Unicode: bytes of another encoding, halves of surrogate pairs.

    Raises:
        UsageError: ``text`` cannot be written as UTF-8.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{what} is not UTF-8 text: character {error.start + 1} is {text[error.start]!a}",
            "Convert it to UTF-8, for example with iconv.",
        ) from error


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: text, and pictures beside it.

    Images are upright RGB pictures of any size; the engine tiles them. They come first, each on
    a line of its own; or ``places`` says before which character of ``content`` each belongs.
    Tags of grounding in the ``literal`` spans of ``content``, [start, end), are text.

    Raises:
        UsageError: ``content`` is not UTF-8 text.
        ValueError: ``places`` is not one ascending place in ``content`` for each image, or
            ``literal`` spans overlap or leave the text.
    """

    role: Role
    content: str
    images: tuple[Image, ...] = ()
    places: tuple[int, ...] | None = None
    literal: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        check_text(self.content, _WHAT[self.role])
        spans = (0, *(end for span in self.literal for end in span), len(self.content))
        if list(spans) != sorted(spans):
            raise ValueError(f"literal {self.literal} in {len(self.content)} characters")
        if self.places is None:
            return
        within = (0, *self.places, len(self.content))
        if len(self.places) != len(self.images) or list(within) != sorted(within):
            raise ValueError(f"places {self.places} for {len(self.images)} images")

    def parts(self) -> tuple[str | Verbatim | Image, ...]:
        """Text and images in the order in which the model reads them; no text is empty."""
        if self.places is None:
            leading = [part for image in self.images for part in (image, "\n")]
            return (*leading, *self._texts(0, len(self.content)))
        parts: list[str | Verbatim | Image] = []
        start = 0
        for place, image in zip(self.places, self.images, strict=True):
            parts += [*self._texts(start, place), image]
            start = place
        return (*parts, *self._texts(start, len(self.content)))

    def _texts(self, start: int, end: int) -> Iterator[str | Verbatim]:
        """The text from ``start`` to ``end``, its literal spans by themselves."""
        for first, last in self.literal:
            first, last = max(first, start), min(last, end)
            if first < last:
                if start < first:
                    yield self.content[start:first]
                yield Verbatim(self.content[first:last])
                start = last
        if start < end:
            yield self.content[start:end]

    @property
    def shown(self) -> str:
        """The turn for people, with ``<image>`` where an image stands."""
        return "".join(
            str(part) if isinstance(part, str | Verbatim) else "<image>" for part in self.parts()
        )


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    max_new_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class RequestDefaults:
    """What the requests of one task share; ``tiles`` and ``zoom`` as in ``Request``."""

    sampling: Sampling = field(default_factory=Sampling)
    tiles: Tiles = None
    zoom: Zoom = None

    def request(
        self, messages: tuple[Message, ...], constraint: Constraint | None = None
    ) -> Request:
        """The request that answers ``messages``."""
        return Request(messages, self.sampling, constraint, self.tiles, self.zoom)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A grammar that the answer must follow.

    ``kind`` says how ``text`` is read: a JSON Schema, a Lark grammar (llguidance's
    dialect, in which ``<|ref|>`` names a special token), or a regular expression.
    """

    kind: Literal["json_schema", "lark", "regex"]
    text: str

    def __post_init__(self) -> None:
        check_text(self.text, "the schema" if self.kind == "json_schema" else "the grammar")


@dataclass(frozen=True, slots=True)
class Request:
    """A conversation that ends with a user turn, and how to answer it.

    ``tiles`` caps the local tiles of each image (None: as the checkpoint's own rule;
    0: thumbnail-sized canvas only, "auto": fewest that keep the image's detail).
    ``zoom`` is how many times as large images are shown, as far as the tiles go (None: as the
    checkpoint has it; "auto": small print larger).
    ``stop`` are strings that end the answer and are cut from it.
    ``max_lines`` ends the answer, with finish_reason "stop", after so many lines of text.
    ``loop_guard`` ends an answer that repeats itself with finish_reason "loop".
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    constraint: Constraint | None = None
    tiles: Tiles = None
    zoom: Zoom = None
    stop: tuple[str, ...] = ()
    max_lines: int | None = None
    loop_guard: bool = True

    def __post_init__(self) -> None:
        for text in self.stop:
            check_text(text, "a stop string")
