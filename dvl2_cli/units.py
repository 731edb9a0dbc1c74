"""Numbers with their unit and range, as the types of results; JSON Schemas are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class NumberLimits:
    """What a JSON Schema says of a member beside its type; None: nothing."""

    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    description: str | None = None


Count = Annotated[int, NumberLimits(minimum=0)]
Positive = Annotated[int, NumberLimits(minimum=1)]
Bytes = Annotated[int, NumberLimits(minimum=0, description="Bytes.")]
Seconds = Annotated[float, NumberLimits(minimum=0)]
Moment = Annotated[float, NumberLimits(description="Seconds since 1970.")]
Rate = Annotated[float, NumberLimits(minimum=0, description="Per second.")]
Share = Annotated[float, NumberLimits(minimum=0, maximum=1)]
Sha256 = Annotated[str, NumberLimits(pattern="^[0-9a-f]{64}$")]
