"""The user's own conversations as items: each assistant turn is a right answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.engine.request import Message, Role
from dvl2_cli.errors import InputError
from dvl2_cli.evaluation.item import Item, Metric
from dvl2_cli.evaluation.scoring import boxes_of
from dvl2_cli.prompts import PRESETS

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_TAG = "<image>"
_ROLES: tuple[Role, ...] = ("system", "user", "assistant")
_SHOWN_ERRORS = 5
_TEXT_QUESTIONS = frozenset(PRESETS[name] for name in ("ocr", "markdown", "table"))
_LONG_ANSWER = 120  # characters from which an answer is a text to be read, not a value


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    images: tuple[Path, ...]
    messages: tuple[tuple[Role, str], ...]


def read_items(path: Path) -> Iterator[Item]:
    """Items of a JSON Lines file in the trainer's format.

    Every line is checked before the first item is yielded; pictures are opened when needed.
    Answers with boxes are measured by box F1, long ones and transcriptions by CER, the
    others by ANLS.

    Raises:
        InputError: the file cannot be read, or has bad lines (named by number).
    """
    rows = list(_rows(path))
    if not rows:
        raise InputError(f"{path}: there is no line to evaluate")
    return (item for row in rows for item in _items(row))


def _rows(path: Path) -> Iterator[_Row]:
    problems = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _row(number, line, path.parent)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        more = len(problems) - _SHOWN_ERRORS
        shown = "; ".join(problems[:_SHOWN_ERRORS]) + (f"; and {more} more" if more > 0 else "")
        raise InputError(f"{path}: {shown}")


def _row(number: int, line: str, folder: Path) -> _Row:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    images = value.get("images", [])
    if not isinstance(images, list) or not all(isinstance(name, str) for name in images):
        raise ValueError('"images" is not a list of file names')
    messages = tuple(_message(message) for message in _list_of(value, "messages"))
    if not any(role == "assistant" for role, _ in messages):
        raise ValueError("no assistant turn says what the right answer is")
    tags = sum(content.count(IMAGE_TAG) for role, content in messages if role == "user")
    if tags != len(images):
        raise ValueError(f"{tags} {IMAGE_TAG} tags for {len(images)} images")
    paths = tuple(folder / name for name in images)
    for path in paths:
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
    return _Row(number, paths, messages)


def _list_of(value: dict[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    if not isinstance(found, list) or not found:
        raise ValueError(f'"{key}" is missing or empty')
    return found


def _message(value: Any) -> tuple[Role, str]:
    if not isinstance(value, dict):
        raise ValueError("a message is not an object")
    content = value.get("content")
    role: Role | None = next((known for known in _ROLES if known == value.get("role")), None)
    if role is None:
        raise ValueError(f"unknown role {value.get('role')!r}")
    if not isinstance(content, str):
        raise ValueError(f"the content of a {role} message is not text")
    return role, content


def _items(row: _Row) -> Iterator[Item]:
    pictures = iter([_open(path) for path in row.images])
    history: list[Message] = []
    for index, (role, content) in enumerate(row.messages):
        if role == "assistant" and history and history[-1].role == "user" and content.strip():
            yield _item(f"line {row.line}, turn {index}", history, content)
        images = tuple(next(pictures) for _ in range(content.count(IMAGE_TAG)))
        # The right answers, not the model's, are what later turns follow on.
        history.append(Message(role, content, images if role == "user" else ()))


def _open(path: Path) -> Image:
    from dvl2_cli.inputs.load import load_pictures

    return next(iter(load_pictures(path))).image


def _item(name: str, history: list[Message], answer: str) -> Item:
    boxes = tuple(boxes_of(answer))
    question = history[-1].content.replace(IMAGE_TAG, "").strip()
    metric: Metric = "anls"
    if boxes:
        metric = "boxes"
    elif question in _TEXT_QUESTIONS or len(answer) > _LONG_ANSWER:
        metric = "cer"
    group = {"anls": "data/answers", "boxes": "data/boxes", "cer": "data/text"}[metric]
    return Item(
        name, group, metric, question, answer, history[-1].images, boxes,
        history=tuple(history[:-1]),
    )  # fmt: skip
