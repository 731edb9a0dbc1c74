"""Telling the pictures that were named from the question that stands after them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from dvl2_cli.errors import UsageError
from dvl2_cli.inputs.fetch import is_data_url
from dvl2_cli.inputs.folders import matches_of
from dvl2_cli.inputs.names import as_on_disk, is_file_uri
from dvl2_cli.inputs.sources import STDIN, expanded
from dvl2_cli.inputs.urls import is_url

_ENDS = ("?", ".", "!")
# As file names end, and sentences do not.
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
_GLOB = re.compile(r"[*?\[]")


def split_question(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The pictures among ``arguments``, and the question if the last one is it.

    A last argument that names nothing is the question if it has a space or ends a sentence.

    Raises:
        UsageError: it may be either.
    """
    if not arguments or names_picture(arguments[-1]):
        return list(arguments), None
    last = arguments[-1]
    words = last.strip()
    if not words:
        raise UsageError("the question is empty", 'Write: dvl2 chat photo.jpg "What is this?"')
    is_sentence = any(char.isspace() for char in words) or words.endswith(_ENDS)
    is_name = _SUFFIX.search(words) is not None or _is_path(words)
    if is_sentence and not is_name:
        return list(arguments[:-1]), last
    if is_sentence or not is_name:
        raise UsageError(
            f"{last!r} is no file: is it the question?",
            "Ask it with -p, or correct the name of the picture.",
        )
    return list(arguments), None  # reading it says what is wrong with it


def names_picture(argument: str) -> bool:
    """Whether ``argument`` is a file, a folder, a URL, a glob with matches, or stdin."""
    if argument == STDIN or is_url(argument) or is_data_url(argument) or is_file_uri(argument):
        return True
    try:
        path = as_on_disk(expanded(argument))
        return os.path.lexists(path) or bool(_GLOB.search(path) and matches_of(path))
    except (OSError, ValueError, RuntimeError):
        return False  # too long for a name, or with characters that no name has


def _is_path(words: str) -> bool:
    """Whether ``words`` are written as a path is."""
    one_word = not any(char.isspace() for char in words)
    return words.startswith(("/", "./", "../", "~")) or ("/" in words and one_word)
