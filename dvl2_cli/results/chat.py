"""What ``dvl2 chat -p --json`` reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from dvl2_cli.results.envelope import Envelope, Source
from dvl2_cli.units import Count, Positive

ShownAs = Literal["picture", "text", "part"]
TextSource = Literal["pixels", "layer"]


@dataclass(frozen=True, slots=True)
class PageShown:
    """A page of a folder that the question found and the model saw.

    ``number`` is how the answer may name it, and ``named`` whether it does. ``shown_as`` is a
    "picture", the page's "text", or "part" of it. ``text_source`` is where the text that was
    searched comes from, ``score`` the page's BM25 score, and ``found_by`` whether whole "words"
    of the question stand on it, only "parts" of words, or "all" pages were shown.
    """

    number: Positive
    source: Source
    shown_as: ShownAs
    text_source: TextSource
    score: float
    found_by: Literal["words", "parts", "all"]
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResult(Envelope):
    """One answer. ``source`` is the first picture, ``sources`` all of them, in prompt order.

    ``code`` and ``language`` are the code block that ``-x`` extracts; ``data`` is the value
    that follows ``--schema``; ``session`` is the id under which history keeps the turn.
    ``pages`` are those of ``pages_searched`` that were shown, where a folder or a long document
    was asked about.
    """

    schema = "dvl2.chat/1"
    heading = "One line of dvl2 chat --json"

    answer: str = ""
    sources: tuple[Source, ...] = ()
    code: str | None = None
    language: str | None = None
    data: Any = None
    session: str | None = None
    pages: tuple[PageShown, ...] = ()
    pages_searched: Count | None = None
