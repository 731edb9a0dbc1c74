"""What ``dvl2 ground`` reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dvl2_cli.results.envelope import Box, Envelope
from dvl2_cli.units import Count, Share


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One box. ``box`` is xyxy in pixels of the upright picture, ``box_999`` as the model said.

    ``query`` is the phrase asked for (None in a grounded caption), ``label`` the model's
    word; ``score`` is None, for the model gives none.
    """

    id: Count
    query: str | None
    label: str
    box: Box
    box_999: Box
    score: Share | None = None


@dataclass(frozen=True, slots=True)
class RejectedBox:
    """A piece of the model's text that is no box, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Span:
    """Words of a caption tied to a box; ``span`` is [start, end) in code points."""

    span: tuple[Count, Count]
    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class Coordinates:
    """How the numbers of ``box`` are to be read."""

    unit: Literal["pixel"] = "pixel"
    origin: Literal["top-left"] = "top-left"
    format: Literal["xyxy"] = "xyxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundResult(Envelope):
    """Boxes of one picture; ``caption`` and ``grounding`` only for a grounded caption."""

    schema = "dvl2.ground/1"
    heading = "One line of dvl2 ground --json"
    OPTIONAL: ClassVar = ("crops", "caption", "grounding")

    coordinates: Coordinates = Coordinates()
    objects: tuple[FoundObject, ...] = ()
    rejected: tuple[RejectedBox, ...] = ()
    drawn: str | None = None
    crops: tuple[str, ...] = ()
    caption: str | None = None
    grounding: tuple[Span, ...] = ()

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The box of every object, xyxy in pixels of the upright picture."""
        return tuple(item.box for item in self.objects)

    def as_json(self) -> dict[str, Any]:
        """As the envelope's, without the members of modes that were not asked for."""
        members = Envelope.as_json(self)
        if self.caption is None:
            del members["caption"], members["grounding"]
        if not self.crops:
            del members["crops"]
        return members
