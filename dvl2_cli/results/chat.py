"""What ``dvl2 chat -p --json`` reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dvl2_cli.results.envelope import Envelope, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResult(Envelope):
    """One answer. ``source`` is the first picture, ``sources`` all of them, in prompt order.

    ``code`` and ``language`` are the code block that ``-x`` extracts; ``data`` is the value
    that follows ``--schema``; ``session`` is the id under which history keeps the turn.
    """

    schema = "dvl2.chat/1"
    heading = "One line of dvl2 chat --json"

    answer: str = ""
    sources: tuple[Source, ...] = ()
    code: str | None = None
    language: str | None = None
    data: Any = None
    session: str | None = None
