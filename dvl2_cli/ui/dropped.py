"""File names that a terminal types when files are dropped on it."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import unquote, urlsplit


def dropped_paths(line: str) -> list[str] | None:
    """The files that ``line`` names, if it names files and nothing else; else None.

    Terminals write absolute paths, quoted, with backslashes or as ``file://``; so a word
    or a relative name in a question is never taken for a file.
    """
    line = line.strip()
    if not line:
        return None
    whole = _file(line)
    if whole is not None:
        return [whole]  # an unquoted name with blanks
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    files = [_file(word) for word in words]
    found = [name for name in files if name is not None]
    return found if found and len(found) == len(files) else None


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
    if not name.startswith(("/", "~")):
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
