"""Numbers with their unit and range, as the types of results; JSON Schemas are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Limits:
    """What a JSON Schema says of a member beside its type; None: nothing."""

    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    description: str | None = None


Count = Annotated[int, Limits(minimum=0)]
Positive = Annotated[int, Limits(minimum=1)]
Bytes = Annotated[int, Limits(minimum=0, description="Bytes.")]
Seconds = Annotated[float, Limits(minimum=0)]
Moment = Annotated[float, Limits(description="Seconds since 1970.")]
Rate = Annotated[float, Limits(minimum=0, description="Per second.")]
Share = Annotated[float, Limits(minimum=0, maximum=1)]
Sha256 = Annotated[str, Limits(pattern="^[0-9a-f]{64}$")]
