"""A page by its lines: find, order, pack, read, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dvl2_cli.engine.events import Finished
from dvl2_cli.tasks.reading.lines.find import find_lines, glyphs_of
from dvl2_cli.tasks.reading.lines.order import RowBlock, in_reading_order
from dvl2_cli.tasks.reading.lines.pack import Canvas, Layout, pack
from dvl2_cli.tasks.reading.lines.page import ReadRow, read_row, separators
from dvl2_cli.tasks.reading.lines.read import StripText, read_lines
from dvl2_cli.tasks.reading.lines.strips import strips_of
from dvl2_cli.tasks.reading.lines.upright import Upright, upright

if TYPE_CHECKING:
    from PIL.Image import Image

OnText = Callable[[str], None]
Ask = Callable[[Canvas], Finished]


@dataclass(slots=True)
class LinesRead:
    """The rows of a page in reading order, the answers that gave them, and how many
    lines were read twice. ``unresolved``: a line repeats itself in both readings. ``page`` is what
    the rows' places refer to.
    """

    page: Upright
    rows: list[ReadRow] = field(default_factory=list)
    answers: list[Finished] = field(default_factory=list)
    retries: int = 0
    unresolved: bool = False

    @property
    def text(self) -> str:
        """The rows as lines, with an empty line between paragraphs."""
        return "".join(row.before + row.text for row in self.rows).strip("\n")


@dataclass(frozen=True, slots=True)
class ShownLines:
    """What is shown of a page, the page with level lines, and the blocks that it comes from."""

    page: Upright
    blocks: list[RowBlock]
    canvases: list[Canvas]


def shown_of(page: Image, layout: Layout) -> ShownLines:
    """How ``page`` (upright, RGB) is shown."""
    level = upright(page, glyphs_of(page))
    blocks = in_reading_order(find_lines(level.image))
    rows = [row for block in blocks for row in block.rows]
    strips = strips_of(level.image, rows, layout.height, layout.max_width)
    return ShownLines(level, blocks, pack(strips, layout))


def read_by_lines(
    page: Image, layout: Layout, ask: Ask, on_text: OnText | None = None
) -> LinesRead:
    """Read ``page``; ``on_text`` is told each row once, as soon as it is final."""
    shown = shown_of(page, layout)
    rows = [row for block in shown.blocks for row in block.rows]
    befores = separators(shown.blocks)
    strips = Counter(strip.row for canvas in shown.canvases for strip in canvas.strips)
    texts: dict[int, list[StripText]] = {number: [] for number in range(len(rows))}
    read, done = LinesRead(page=shown.page), 0
    for canvas in read_lines(shown.canvases, layout, ask):
        read.answers += canvas.answers
        read.retries += len(canvas.answers) - 1
        for text in canvas.texts:
            texts[text.strip.row].append(text)
            read.unresolved |= text.looped
        while done < len(rows) and len(texts[done]) == strips[done]:
            row = read_row(rows[done], befores[done], texts[done])
            if row.text:
                _tell(on_text, row, first=not read.rows)
                read.rows.append(row)
            done += 1
    return read


def _tell(on_text: OnText | None, row: ReadRow, *, first: bool) -> None:
    if on_text is not None:
        on_text(row.text if first else row.before + row.text)
