"""What a command asks of an engine; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

Role = Literal["system", "user", "assistant"]
Tiles = int | Literal["auto"] | None
Zoom = float | Literal["auto"] | None
# Smaller shows nothing, larger nothing more.
MIN_ZOOM, MAX_ZOOM = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``content`` holds one ``<image>`` tag for every image of the turn.

    Images are upright RGB pictures of any size; the engine tiles them.
    """

    role: Role
    content: str
    images: tuple[Image, ...] = ()


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
class Constraint:
    """A grammar that the answer must follow.

    ``kind`` says how ``text`` is read: a JSON Schema, a Lark grammar (llguidance's
    dialect, in which ``<|ref|>`` names a special token), or a regular expression.
    """

    kind: Literal["json_schema", "lark", "regex"]
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """A conversation that ends with a user turn, and how to answer it.

    ``tiles`` caps the local tiles of each image (None: as the checkpoint's own rule;
    0: thumbnail-sized canvas only, "auto": fewest that keep the image's detail).
    ``zoom`` is how many times as large images are shown, as far as the tiles go (None: as the
    checkpoint has it; "auto": small print larger).
    ``stop`` are strings that end the answer and are cut from it.
    ``loop_guard`` ends an answer that repeats itself with finish_reason "loop".
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    constraint: Constraint | None = None
    tiles: Tiles = None
    zoom: Zoom = None
    stop: tuple[str, ...] = ()
    loop_guard: bool = True
