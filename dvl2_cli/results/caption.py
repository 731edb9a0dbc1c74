"""What ``dvl2 caption`` reports: one line per picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dvl2_cli.results.envelope import Envelope
from dvl2_cli.results.ground import Span

CaptionLength = Literal["short", "normal", "long"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionResult(Envelope):
    """A caption; ``skipped`` says why none was made, ``written`` which files hold it."""

    schema = "dvl2.caption/1"
    heading = "One line of dvl2 caption --json"

    caption: str | None = None
    length: CaptionLength = "normal"
    grounding: tuple[Span, ...] = ()
    written: tuple[str, ...] = ()
    skipped: str | None = None
