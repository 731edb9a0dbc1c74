"""Answers as Markdown on a terminal, from text that nobody vouches for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dvl2_cli.ui.control import printable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from rich.markdown import Markdown


def markdown(text: str) -> Markdown:
    """``text`` for a Rich console: line breaks kept, HTML shown as written, no hidden links.

    Rich's own parser would join single lines and leave HTML out, so that part of an answer
    would not be seen.
    """
    from rich.markdown import Heading, Markdown

    class LeftHeading(Heading):
        LEVEL_ALIGN: ClassVar = {**Heading.LEVEL_ALIGN, "h1": "left"}

    class LeftMarkdown(Markdown):
        elements: ClassVar = {**Markdown.elements, "heading_open": LeftHeading}

    rendered = LeftMarkdown("", hyperlinks=False, code_theme="ansi_dark")
    rendered.parsed = _with_line_breaks(_parser().parse(printable(text)))
    return rendered


def split_complete(text: str) -> tuple[str, str]:
    """The blocks that more text cannot change, and the rest, which is the last block."""
    starts = [
        token.map[0]
        for token in _parser().parse(text)
        if token.level == 0 and token.nesting >= 0 and token.map
    ]
    if len(starts) < 2:
        return "", text
    lines = text.split("\n")
    return "\n".join(lines[: starts[-1]]) + "\n", "\n".join(lines[starts[-1] :])


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False})
    return parser.enable(["table", "strikethrough"]).disable("reference")


def _with_line_breaks(tokens: list[Token]) -> list[Token]:
    for token in tokens:
        for child in token.children or []:
            if child.type == "softbreak":
                child.type = "hardbreak"
    return tokens
