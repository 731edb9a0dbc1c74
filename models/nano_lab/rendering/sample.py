"""One rendered picture with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

    from nano_lab.rendering.canvas import Colour

Split = Literal["train", "test"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Glyph:
    """One printed character.

    ``box`` is (x0, y0, x1, y1) of the ink in pixels of the final image; for a space, its
    advance by the height of an "x". ``line`` numbers the text lines and ``order`` the
    characters, both in reading order from 0.
    """

    char: str
    box: Box
    line: int
    order: int


@dataclass(frozen=True, slots=True)
class SceneObject:
    """An object that can be boxed; ``box`` as in Glyph. ``place`` is "top left", ... or None.

    ``between`` is a colour that has no name (see unnamed); ``colour`` then is None.
    """

    name: str
    colour: str | None
    box: Box
    place: str | None = None
    size: str | None = None
    between: Colour | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """What ``answer[start:end]`` says is seen at (x, y), shares 0..1 of width and height."""

    start: int
    end: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Turn:
    """A question without image tags and its answer.

    Boxes in the answer are ``<|ref|>name<|/ref|><|det|>[[x0, y0, x1, y1]]<|/det|>`` with
    integers 0..999 relative to the whole image. ``task`` names what is asked, for metrics;
    ``mentions`` say where the objects are that an answer without boxes is about; ``counted`` are
    the middles of those that are counted, (x, y) as in Mention, or None where nothing is.
    """

    question: str
    answer: str
    task: str = ""
    mentions: tuple[Mention, ...] = ()
    counted: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture with its questions. The same (kind, seed, split) renders the same sample.

    ``glyphs`` and ``objects`` cover everything drawn. ``image`` is RGB; for kind "chat",
    which has no picture, it is None. ``example`` is the first image of an in-context pair.
    """

    kind: str
    image: Image | None
    turns: tuple[Turn, ...]
    glyphs: tuple[Glyph, ...]
    objects: tuple[SceneObject, ...]
    seed: int
    split: Split
    example: Image | None = None
