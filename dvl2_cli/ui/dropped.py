"""File names that a terminal types when files are dropped on it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import unquote, urlsplit

_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
# A quoted word, or one with backslashes before its blanks.
_WORD = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)"|((?:\\.|[^\s\\])+))(?=\s|$)""")


def split_files(line: str) -> tuple[list[str], str]:
    """The files that ``line`` begins with, and the question that follows them.

    Terminals write absolute paths, quoted, with backslashes or as ``file://``. A relative name
    counts only at the beginning and with a suffix, so that no word of a question is a file.
    """
    line = line.strip()
    whole = _file(line)
    if whole is not None:
        return [whole], ""  # an unquoted name with blanks
    files: list[str] = []
    rest = line
    while (word := _WORD.match(rest)) is not None:
        quoted = word[1] if word[1] is not None else word[2]
        name = _file(re.sub(r"\\(.)", r"\1", word[3]) if quoted is None else quoted)
        if name is None:
            break
        files.append(name)
        rest = rest[word.end() :]
    return files, rest.strip()


def named_paths(text: str) -> list[str]:
    """The paths and URLs after ``/image``: one name with blanks, or several as a shell splits."""
    text = text.strip()
    if Path(text).expanduser().exists():
        return [text]
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    return [_local(word) or word for word in words]


def _file(word: str) -> str | None:
    name = _local(word) or word
    if not name.startswith(("/", "~")) and not _SUFFIX.search(name):
        return None
    try:
        return name if Path(name).expanduser().is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _local(word: str) -> str | None:
    """The path of a ``file:`` URL."""
    try:
        parts = urlsplit(word)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return unquote(parts.path)
