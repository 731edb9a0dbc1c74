"""Conversations as JSON Lines or one JSON array: all are read and checked before one is used.

A line is ``{"images": [paths], "messages": [{"role": …, "content": …}]}``, with one ``<image>``
in the users' texts for each picture. Answers name boxes in the model's own tags (0..999); with
``"boxes": "pixels"`` on the line the numbers in the tags are pixels, and a message may give
``"objects"`` instead of tags. docs/training.md describes it for users.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvl2_cli.conversations.boxes import Size, check_tags, convert_lists, written_objects
from dvl2_cli.conversations.markers import IMAGE_TAG
from dvl2_cli.engine.request import Role, check_text
from dvl2_cli.errors import InputError, UsageError
from dvl2_cli.inputs.load import load_pictures
from dvl2_cli.inputs.pipes import read_pipe
from dvl2_cli.plain_file import read_plain_file
from dvl2_cli.texts import decode_text

_ROLES: tuple[Role, ...] = ("system", "user", "assistant")
# Of a data file in bytes; of the wait for whoever writes to a pipe.
_LARGEST = 2**30
_PIPE_SECONDS = 10.0
_UNITS = ("999", "pixels")
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One conversation; ``messages`` are as the model reads and writes them.

    ``sizes`` are of the upright pictures, and empty where no picture had to be opened.
    """

    line: int
    images: tuple[Path, ...]
    messages: tuple[tuple[Role, str], ...]
    sizes: tuple[Size, ...] = ()


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with a line, and where there is a remedy, that too."""

    line: int
    text: str


def read_rows(
    path: Path, *, decode: bool = False
) -> tuple[list[ConversationRow], list[RowProblem]]:
    """The sound lines of ``path``, and what is wrong with the others.

    Args:
        path: of the file; pictures are looked for beside it.
        decode: whether to decode every picture now, and not only where a size is needed.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        text = decode_text(_bytes_of(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: it is not UTF-8 text ({error})") from error
    sizes = _Sizes()
    rows, problems = [], []
    for number, value in _values(text):
        try:
            if isinstance(value, ValueError):
                raise value
            rows.append(_row(number, value, path.parent, sizes, decode))
        except ValueError as error:
            problems.append(RowProblem(number, str(error)))
    return rows, problems


def _bytes_of(path: Path) -> bytes:
    if path.is_fifo():
        return read_pipe(path, _LARGEST, _PIPE_SECONDS)
    return read_plain_file(path, _LARGEST)


def _values(text: str) -> Iterator[tuple[int, Any]]:
    """Each conversation and its line; a ValueError where it is not JSON."""
    if text.lstrip().startswith("["):
        yield from _array(text)
        return
    # Not splitlines: a line separator of Unicode may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, ValueError(f"not JSON ({error})")


def _array(text: str) -> Iterator[tuple[int, Any]]:
    """The items of a file that is one JSON array, up to the first fault."""
    decoder = json.JSONDecoder()
    place = _after(text, text.index("[") + 1)
    while text[place : place + 1] != "]":
        line = text.count("\n", 0, place) + 1
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            yield line, ValueError(f"not JSON ({error})")
            return
        yield line, value
        place = _after(text, end)
        if text[place : place + 1] == ",":
            place = _after(text, place + 1)
        elif text[place : place + 1] != "]":
            yield text.count("\n", 0, place) + 1, ValueError("the JSON array does not go on here")
            return


def _after(text: str, place: int) -> int:
    """The next place that is no blank."""
    match = _BLANK.match(text, place)
    return match.end() if match else place


class _Sizes:
    """Sizes of upright pictures, each decoded once."""

    def __init__(self) -> None:
        self._known: dict[Path, Size | str] = {}

    def of(self, path: Path) -> Size:
        """Width and height; ValueError if the picture cannot be read."""
        if path not in self._known:
            try:
                self._known[path] = next(iter(load_pictures(path))).image.size
            except InputError as error:
                self._known[path] = error.message
        known = self._known[path]
        if isinstance(known, str):
            raise ValueError(known)
        return known


def _row(number: int, value: Any, folder: Path, sizes: _Sizes, decode: bool) -> ConversationRow:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    images = value.get("images", [])
    if isinstance(images, str):
        images = [images]
    if not isinstance(images, list) or not all(isinstance(name, str) for name in images):
        raise ValueError('"images" is not a list of file names')
    messages = _list_of(value, "messages")
    turns = [_turn(message) for message in messages]
    _check_turns(turns, len(images))
    unit = str(value.get("boxes", "999"))
    if unit not in _UNITS:
        raise ValueError(f'"boxes" is {unit!r}; it may be "pixels" or "999"')
    paths = tuple(_found(folder, name) for name in images)
    in_pixels = unit == "pixels" or any("objects" in message for message in messages)
    known = tuple(sizes.of(path) for path in paths) if decode or in_pixels else ()
    texts = _with_boxes(messages, known, unit)
    return ConversationRow(
        number, paths, tuple(zip((role for role, _ in turns), texts, strict=True)), known
    )


def _found(folder: Path, name: str) -> Path:
    """The picture; a name that was written on Windows is read so where there is no other."""
    for form in (name, name.replace("\\", "/")):
        if os.path.isfile(folder / form):  # noqa: PTH113  pathlib raises for names too long
            return folder / form
    raise ValueError(f"there is no file {folder / name}")


def _with_boxes(messages: Sequence[dict[str, Any]], sizes: Sequence[Size], unit: str) -> list[str]:
    """The messages' texts, with boxes in pixels turned into tags."""
    texts = []
    seen = 0
    for message in messages:
        text = str(message.get("content", ""))
        if message["role"] == "user":
            seen += text.count(IMAGE_TAG)
        if unit == "pixels" and seen:
            text = convert_lists(text, sizes[seen - 1])
        if "objects" in message:
            found = written_objects(message["objects"], sizes[:seen])
            _check_unicode(found, "a label")
            text += found
        if message["role"] == "assistant":
            check_tags(text)
        texts.append(text)
    return texts


def _list_of(value: dict[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    if not isinstance(found, list) or not found:
        raise ValueError(f'"{key}" is missing or empty')
    return found


def _turn(value: Any) -> tuple[Role, str]:
    if not isinstance(value, dict):
        raise ValueError("a message is not an object")
    role: Role | None = next((known for known in _ROLES if known == value.get("role")), None)
    if role is None:
        raise ValueError(f"unknown role {value.get('role')!r}; roles are {', '.join(_ROLES)}")
    content = value.get("content", "" if "objects" in value else None)
    if not isinstance(content, str):
        raise ValueError(f"the content of a {role} message is not text")
    _check_unicode(content, f"the content of a {role} message")
    if role == "assistant" and not (content.strip() or "objects" in value):
        raise ValueError("an answer is empty")
    return role, content


def _check_unicode(text: str, what: str) -> None:
    try:
        check_text(text, what)
    except UsageError as error:
        raise ValueError(error.message) from error


def _check_turns(turns: Sequence[tuple[Role, str]], images: int) -> None:
    if not any(role == "assistant" for role, _ in turns):
        raise ValueError("no assistant turn says what the right answer is")
    spoken = turns[1:] if turns[0][0] == "system" else turns
    for index, (role, content) in enumerate(spoken):
        wanted = "assistant" if index % 2 else "user"
        if role != wanted:
            raise ValueError(
                f"turn {index + 1} is by {role} and should be by {wanted}: questions and answers "
                "take turns, after at most one system message"
            )
        if role != "user" and IMAGE_TAG in content:
            raise ValueError(f"{IMAGE_TAG} stands in an answer: put it into the question")
    if len(spoken) % 2:
        raise ValueError("the last question has no answer: add one, or take the question out")
    tags = sum(content.count(IMAGE_TAG) for role, content in turns if role == "user")
    if tags != images:
        raise ValueError(
            f"{tags} {IMAGE_TAG} tags for {images} images: write one where each picture belongs"
        )
