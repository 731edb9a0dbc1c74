"""What a page read by its lines comes to: text, Markdown, boxes, warnings."""

from __future__ import annotations

from collections.abc import Sequence

from dvl2_cli.engine.events import FinishReason
from dvl2_cli.results.ocr import Block, Quality
from dvl2_cli.tasks.reading.lines.page import ReadRow, as_markdown
from dvl2_cli.tasks.reading.lines.reader import LinesRead
from dvl2_cli.tasks.reading.lines.upright import Upright
from dvl2_cli.tasks.reading.page import PageText, usage_of

# A row is unsure where its least sure token has a lower probability; a page where more than
# this share of its rows is.
_MIN_PROBABILITY, _MAX_UNSURE_SHARE = 0.5, 0.12
_SHOWN = 3


def page_text(read: LinesRead) -> PageText:
    """The page's text, with a block for every row."""
    cancelled = any(answer.finish_reason == "cancelled" for answer in read.answers)
    reason: FinishReason = "cancelled" if cancelled else "loop" if read.unresolved else "stop"
    return PageText(
        text=read.text,
        raw="\n".join(answer.raw for answer in read.answers),
        finish_reason=reason,
        usage=usage_of(read.answers),
        quality=Quality(
            loop_detected=any(answer.finish_reason == "loop" for answer in read.answers),
            degenerate=reason == "loop",
            retries=read.retries,
            bands=max(1, len(read.answers) - read.retries),
        ),
        answers=read.answers,
        markdown=as_markdown(read.rows),
        blocks=tuple(_block(row, read.page) for row in read.rows),
        warnings=tuple(_confidence_warnings(read.rows)),
    )


def _block(row: ReadRow, page: Upright) -> Block:
    score = None if row.score is None else round(row.score, 4)
    return Block("line", row.text, page.on_page(row.box), "lines", score)


def _confidence_warnings(rows: Sequence[ReadRow]) -> list[str]:
    """A sentence about unsure rows: numbers always, other text where there is much of it."""
    unsure = [row for row in rows if row.lowest is not None and row.lowest < _MIN_PROBABILITY]
    numbers = [row for row in unsure if any(char.isdigit() for char in row.text)]
    named = unsure if len(unsure) > _MAX_UNSURE_SHARE * len(rows) else numbers
    if not named:
        return []
    least = sorted(named, key=lambda row: row.lowest or 0.0)[:_SHOWN]
    examples = ", ".join(repr(row.text) for row in least)
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    count = f"{len(named)} of {len(rows)} lines"
    return [f"low confidence in {count}: {examples}{more}; check them"]
