"""The bodies of ``/v1/ocr``, ``/v1/ground`` and ``/v1/caption``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from dvl2_cli.inputs.pdf import DEFAULT_DPI
from dvl2_cli.results.caption import CaptionLength
from dvl2_cli.server.http.body import JsonBody
from dvl2_cli.server.http.chat_body import Count

Words = Annotated[list[str], Field(default_factory=list, max_length=64)]


class TaskBody(JsonBody):
    """What every task takes.

    ``image`` is a data: URL of a picture or a PDF; a form may have a file instead. ``pages`` are
    some of a document, as 1-4,7.
    """

    LISTS: ClassVar[tuple[str, ...]] = ()

    image: str | None = None
    model: str | None = None
    pages: str | None = None
    dpi: Annotated[int, Field(ge=20, le=600)] = DEFAULT_DPI
    password: str | None = None
    max_tokens: Count | None = None


class OcrBody(TaskBody):
    """What to read of every page; as the options of ``dvl2 ocr``."""

    LISTS = ("fields",)

    markdown: bool = False
    boxes: Literal["none", "model"] = "none"
    fields: Words
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class GroundBody(TaskBody):
    """What to find; as the arguments of ``dvl2 ground``."""

    LISTS = ("phrases",)

    phrases: Words
    all: bool = False
    caption: bool = False


class CaptionBody(TaskBody):
    """How to describe; as the options of ``dvl2 caption``."""

    LISTS = ("include", "avoid")

    length: CaptionLength = "normal"
    prefix: str = ""
    include: Words
    avoid: Words
    grounded: bool = False
