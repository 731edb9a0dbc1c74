"""Markdown that a model wrote, taken apart: plain text, blocks, tables, safe HTML."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dvl2_cli.results.ocr import Block, BlockType, Table, TableCell
from dvl2_cli.tasks.reading.html_tables import with_tables

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_BLOCKS: dict[str, BlockType] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
    "html_block": "paragraph",
    "blockquote_open": "paragraph",
}
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")
_CELL_END = re.compile(r"(?<!\\)\|")
_FORMULA = re.compile(r"\s*(?:\$\$.*\$\$|\\\[.*\\\])\s*", re.DOTALL)


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Raw HTML from the model is shown as text, never passed on as markup.
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")


def to_html(markdown: str) -> str:
    """A fragment of HTML; tags that the model wrote come out escaped."""
    return "".join(
        str(_parser().render(even_tables(part))) if table is None else f"{table.html}\n"
        for part, table in with_tables(markdown)
    )


def even_tables(markdown: str) -> str:
    """``markdown`` with every table as wide as its widest row.

    Markdown drops the cells of a row that its head has no column for, and takes a table whose
    head and rule differ for text.
    """
    lines = markdown.split("\n")
    for index in range(1, len(lines)):
        if "|" in lines[index - 1] and "-" in lines[index] and _RULE.fullmatch(lines[index]):
            end = index + 1
            while end < len(lines) and "|" in lines[end]:
                end += 1
            width = max(len(_cells(line)) for line in lines[index - 1 : end])
            for place in range(index - 1, end):
                missing = width - len(_cells(lines[place]))
                if missing > 0:
                    added = ("|---" if place == index else "|  ") * missing
                    lines[place] = f"{lines[place].rstrip().removesuffix('|')}{added}|"
    return "\n".join(lines)


def _cells(line: str) -> list[str]:
    """The cells of a row of a table."""
    return _CELL_END.split(re.sub(r"\A\||(?<!\\)\|\Z", "", line.strip()))


def to_text(markdown: str) -> str:
    """The words without the marks of headings, emphasis, lists and tables."""
    return "\n".join(_plain(block) for block in blocks_of(markdown))


def blocks_of(markdown: str) -> list[Block]:
    """The blocks in reading order, each with its source as text."""
    return [
        block
        for part, table in with_tables(markdown)
        for block in (_blocks_between(part) if table is None else [Block("table", part)])
    ]


def _blocks_between(markdown: str) -> list[Block]:
    markdown = even_tables(markdown)
    lines = markdown.splitlines()
    blocks = []
    for token in _top_level(_parser().parse(markdown)):
        if token.type not in _BLOCKS or token.map is None:
            continue
        source = "\n".join(lines[token.map[0] : token.map[1]]).strip("\n")
        kind: BlockType = "formula" if _FORMULA.fullmatch(source) else _BLOCKS[token.type]
        blocks.append(Block(kind, source))
    return blocks


def tables_of(markdown: str) -> tuple[Table, ...]:
    """Every table in Markdown or HTML, as rows of cell texts, as cells and as HTML."""
    return tuple(
        found
        for part, table in with_tables(markdown)
        for found in (_tables_between(part) if table is None else [table])
    )


def _tables_between(markdown: str) -> list[Table]:
    tables = []
    rows: list[tuple[str, ...]] = []
    row: list[str] = []
    for token, following in _with_next(_parser().parse(even_tables(markdown))):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            row = []
        elif token.type in ("th_open", "td_open"):
            row.append(following.content if following is not None else "")
        elif token.type == "tr_close":
            rows.append(tuple(row))
        elif token.type == "table_close":
            cells = [
                TableCell(number, column, text, is_head=number == 0)
                for number, row_cells in enumerate(rows)
                for column, text in enumerate(row_cells)
            ]
            tables.append(Table(table_html(rows), tuple(rows), cells=tuple(cells)))
    return tables


def table_html(rows: list[tuple[str, ...]]) -> str:
    """``rows``, the first of which is the head, as an HTML table."""
    lines = []
    for index, row in enumerate(rows):
        tag = "td" if index else "th"
        cells = "".join(f"<{tag}>{html.escape(cell, quote=False)}</{tag}>" for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _plain(block: Block) -> str:
    if block.type == "table":
        (table,) = tables_of(block.text) or (None,)
        return "\n".join("\t".join(row) for row in table.rows) if table else block.text
    if block.type == "code":
        return re.sub(r"\A```[^\n]*\n|\n?```\s*\Z", "", block.text)
    if block.type == "formula":
        return block.text
    lines = [_inline_text(token) for token in _parser().parse(block.text) if token.children]
    return "\n".join(lines)


def _inline_text(token: Token) -> str:
    pieces = []
    for child in token.children or []:
        if child.type in ("softbreak", "hardbreak"):
            pieces.append("\n")
        else:
            pieces.append(child.content)
    return "".join(pieces)


def _top_level(tokens: list[Token]) -> Iterator[Token]:
    return (token for token in tokens if token.level == 0)


def _with_next(tokens: list[Token]) -> Iterator[tuple[Token, Token | None]]:
    return zip(tokens, [*tokens[1:], None], strict=False)  # no tokens: no pairs
