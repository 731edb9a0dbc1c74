"""What ``dvl2 ocr`` reports: one line per page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from dvl2_cli.results.envelope import Box, Envelope
from dvl2_cli.units import Count, Positive, Share

BlockType = Literal["heading", "paragraph", "list", "table", "code", "formula", "line", "word"]


@dataclass(frozen=True, slots=True)
class TableCell:
    """A cell at ``row`` and ``column``, from 0, and how many of both it goes over."""

    row: Count
    column: Count
    text: str
    row_span: Positive = 1
    column_span: Positive = 1
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was read; ``box`` is in pixels, None where nothing located it.

    ``rows`` are as wide as the table: a cell that goes over several places has its text at the
    first of them, and the others are empty.
    """

    html: str
    rows: tuple[tuple[str, ...], ...]
    box: Box | None = None
    cells: tuple[TableCell, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the page in reading order.

    ``box_source`` says who located it ("lines" where lines were found before they were
    read, "layer" where the file says it, "model" or "rapidocr"); None with ``box`` None.
    """

    type: BlockType
    text: str
    box: Box | None = None
    box_source: Literal["lines", "layer", "model", "rapidocr"] | None = None
    score: Share | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """What went wrong while reading.

    ``loop_detected``: some attempt ran into a repetition; ``degenerate``: none of the
    retries got out of it. ``truncated``: the answer met its token limit. ``retries``: readings
    after the first one, because of a repetition or because a line was doubtful. ``bands``: how many
    pieces the page was read in.
    """

    loop_detected: bool = False
    degenerate: bool = False
    truncated: bool = False
    retries: Count = 0
    bands: Count = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrResult(Envelope):
    """One page; ``fields`` has the values that ``--fields`` or ``--schema`` asked for.

    ``text_source`` says where the text comes from: the "pixels", read by the model, or the
    text "layer" of a PDF's page. ``layer_fault`` says why a layer that is there was not used; it
    is None where there is none, and where nobody looked.
    """

    schema = "dvl2.ocr/1"
    heading = "One line of dvl2 ocr --json"

    text: str = ""
    text_source: Literal["pixels", "layer"] = "pixels"
    layer_fault: str | None = None
    markdown: str = ""
    tables: tuple[Table, ...] = ()
    blocks: tuple[Block, ...] = ()
    fields: dict[str, Any] | None = None
    quality: Quality = Quality()
