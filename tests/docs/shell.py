"""Commands in Markdown: what a reader would copy from code blocks, and mentions in a sentence."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

SHELLS = ("", "sh", "bash", "console")  # what a fence of shell lines says of itself
_ENDS = "();<>|&\n"
_RUNNERS = ("xargs", "parallel")
_REMARK = re.compile(r"""('[^']*'|"(?:\\.|[^"\\])*")|(?<!\S)#[^\n]*""")


@dataclass(frozen=True)
class Code:
    """The shell lines of one page: ``blocks`` to run as they are, ``mentions`` in sentences."""

    blocks: list[str]
    mentions: list[str]


def code_of(markdown: str) -> Code:
    """The code in ``markdown``; fences in another language are left out."""
    blocks, mentions = [], []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "code_block" or (token.type == "fence" and token.info in SHELLS):
            blocks.append(token.content)
        mentions += [child.content for child in token.children or () if child.type == "code_inline"]
    return Code(blocks, mentions)


def simple_commands(text: str) -> Iterator[list[str]]:
    """The words of each command in ``text``: pipelines, lists and loops are cut at their signs.

    Raises:
        ValueError: a quotation is not closed.
    """
    text = _REMARK.sub(lambda match: match[1] or "", text.replace("\\\n", " "))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=_ENDS)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    for word in lexer:
        if not word or not set(word) <= set(_ENDS):
            words.append(word)
            continue
        if word[0] in "<>" and words and words[-1].isdecimal():
            words.pop()  # of 2>file
        yield words
        words = []
    yield words


def dvl2_calls(text: str) -> Iterator[list[str]]:
    """What follows ``dvl2`` in every call of it in ``text``, the command's name first."""
    for words in simple_commands(text):
        for place, word in enumerate(words):
            if word in ("dvl2", "dvl2_cli") or word.endswith("/bin/dvl2"):
                call = words[place + 1 :]
                runs = any(runner in words[:place] for runner in _RUNNERS)
                # The names that xargs would append.
                yield [*call, "FILE"] if runs and "{}" not in " ".join(call) else call
                break


def jq_programs(text: str) -> Iterator[str]:
    """The program of every call of jq in ``text``."""
    for words in simple_commands(text):
        if "jq" in words:
            after = words[words.index("jq") + 1 :]
            while after and after[0].startswith("-"):
                # --arg, --rawfile and their like have a name and a value.
                del after[: 3 if re.match("--(raw|slurp)?(file|arg)", after[0]) else 1]
            yield after[0] if after else ""
