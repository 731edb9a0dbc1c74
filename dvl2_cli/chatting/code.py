"""The code block of an answer."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass

from dvl2_cli.errors import NoUsableOutputError

_ALIASES = {"py": "python", "python3": "python", "htm": "html", "tex": "latex"}


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block; ``language`` is "" where the fence names none."""

    code: str
    language: str


def extract_code(answer: str, wanted: str | None = None) -> tuple[CodeBlock, list[str]]:
    """The first fenced block, or the first in the ``wanted`` language, and what is odd about it.

    Raises:
        NoUsableOutputError: the answer holds no fenced block.
    """
    blocks = list(_blocks(answer))
    if not blocks:
        raise NoUsableOutputError(
            "the answer holds no fenced code block", "Ask for code, or look at it without -x."
        )
    fitting = [block for block in blocks if wanted and block.language == wanted]
    block = (fitting or blocks)[0]
    oddities = []
    if wanted and block.language not in ("", wanted):
        oddities.append(f"the code block is {block.language}, not {wanted}")
    if (block.language or wanted) == "python" and not _is_python(block.code):
        oddities.append("the code block is not valid Python")
    return block, oddities


def _blocks(answer: str) -> list[CodeBlock]:
    from markdown_it import MarkdownIt

    found = []
    for token in MarkdownIt().parse(answer):
        if token.type == "fence":
            words = token.info.split()
            language = words[0].lower() if words else ""
            found.append(CodeBlock(token.content, _ALIASES.get(language, language)))
    return found


def _is_python(code: str) -> bool:
    # Parsed, never run.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
