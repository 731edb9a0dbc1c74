"""The members that every command's JSON shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from dvl2_cli.errors import Dvl2Error
from dvl2_cli.inputs.page_name import page_name
from dvl2_cli.row import JsonRow
from dvl2_cli.units import Count, Positive, Seconds, Sha256

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import ModelInfo
    from dvl2_cli.engine.events import FinishReason, Usage
    from dvl2_cli.inputs.picture import Picture, Unreadable

Status = Literal["ok", "partial", "failed"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an answer's picture came from; sizes are of the upright picture, in pixels."""

    path: str
    sha256: Sha256 | None = None
    page: Positive | None = None
    width: Positive | None = None
    height: Positive | None = None
    orientation_applied: bool = False

    @property
    def name(self) -> str:
        """As messages name it."""
        return page_name(self.path, self.page)

    @classmethod
    def of(cls, found: Picture | Unreadable) -> Source:
        """The source of a picture, or of an input that could not be read."""
        return cls(
            found.path,
            found.sha256,
            found.page,
            getattr(found, "width", None),
            getattr(found, "height", None),
            getattr(found, "orientation_applied", False),
        )


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """Which weights answered."""

    id: str
    revision: str | None
    quant: str

    @classmethod
    def of(cls, info: ModelInfo) -> ModelRecord:
        """The part of an engine's description that belongs in a result."""
        return cls(info.id, info.revision, info.quant)


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """Tokens and seconds, summed over the requests that made one result."""

    prompt_tokens: Count = 0
    image_tokens: Count = 0
    completion_tokens: Count = 0
    seconds: Seconds = 0.0

    def plus(self, usage: Usage) -> UsageTotals:
        """These totals and one more request's."""
        return UsageTotals(
            self.prompt_tokens + usage.prompt_tokens,
            self.image_tokens + usage.image_tokens,
            self.completion_tokens + usage.completion_tokens,
            round(self.seconds + usage.seconds, 3),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope(JsonRow):
    """One line of ``--json``. Subclasses name their ``schema`` and add members.

    ``status`` is "ok", "partial" (usable, but see ``warnings``) or "failed" (see ``error``).
    ``raw`` is the model's own text, special tokens included.
    """

    status: Status = "ok"
    error: Dvl2Error | None = None
    warnings: tuple[str, ...] = ()
    source: Source | None = None
    model: ModelRecord | None = None
    usage: UsageTotals | None = None
    finish_reason: FinishReason | None = None
    raw: str | None = None

    @classmethod
    def failure(
        cls, error: Dvl2Error, source: Source | None = None, model: ModelRecord | None = None
    ) -> Self:
        """The result of an input that gave none."""
        return cls(status="failed", error=error, source=source, model=model)
