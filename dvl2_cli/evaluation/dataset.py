"""The user's own conversations as items: each assistant turn is a right answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.conversations.markers import without_markers
from dvl2_cli.conversations.rows import ConversationRow, read_rows
from dvl2_cli.engine.request import Message, Role
from dvl2_cli.errors import InputError
from dvl2_cli.evaluation.item import Item, Metric
from dvl2_cli.evaluation.scoring import boxes_of
from dvl2_cli.prompts import PRESETS

if TYPE_CHECKING:
    from PIL.Image import Image

_SHOWN_ERRORS = 5
_TEXT_QUESTIONS = frozenset(PRESETS[name] for name in ("ocr", "markdown", "table"))
_LONG_ANSWER = 120  # characters from which an answer is a text to be read, not a value


def read_items(path: Path) -> Iterator[Item]:
    """Items of a JSON Lines file in the trainer's format.

    Every line is checked before the first item is yielded; pictures are opened when needed.
    Answers with boxes are measured by box F1, long ones and transcriptions by CER, the
    others by ANLS.

    Raises:
        InputError: the file cannot be read, or has bad lines (named by number).
    """
    rows, problems = read_rows(path)
    if problems:
        more = len(problems) - _SHOWN_ERRORS
        shown = "; ".join(f"line {p.line}: {p.text}" for p in problems[:_SHOWN_ERRORS])
        raise InputError(f"{path}: {shown}" + (f"; and {more} more" if more > 0 else ""))
    if not rows:
        raise InputError(f"{path}: there is no line to evaluate")
    return (item for row in rows for item in _items(row))


def _items(row: ConversationRow) -> Iterator[Item]:
    pictures = iter([_open(path) for path in row.images])
    history: list[Message] = []
    for index, (role, content) in enumerate(row.messages):
        if role == "assistant" and history and history[-1].role == "user":
            yield _item(f"line {row.line}, turn {index}", history, content)
        # The right answers, not the model's, are what later turns follow on.
        history.append(_message(role, content, pictures))


def _message(role: Role, content: str, pictures: Iterator[Image]) -> Message:
    if role != "user":
        return Message(role, content)
    text, count, places = without_markers(content)
    return Message(role, text, tuple(islice(pictures, count)), places)


def _open(path: Path) -> Image:
    from dvl2_cli.inputs.load import load_pictures

    return next(iter(load_pictures(path))).image


def _item(name: str, history: list[Message], answer: str) -> Item:
    boxes = tuple(boxes_of(answer))
    asked = history[-1]
    question = asked.content.strip()
    metric: Metric = "anls"
    if boxes:
        metric = "boxes"
    elif question in _TEXT_QUESTIONS or len(answer) > _LONG_ANSWER:
        metric = "cer"
    group = {"anls": "data/answers", "boxes": "data/boxes", "cer": "data/text"}[metric]
    return Item(
        name, group, metric, asked.content, answer, asked.images, boxes,
        history=tuple(history[:-1]), places=asked.places,
    )  # fmt: skip
