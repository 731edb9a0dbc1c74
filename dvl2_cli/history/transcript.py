"""A session as one file: JSON with its pictures inside, or Markdown for reading."""

from __future__ import annotations

import base64
import binascii
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.errors import InputError
from dvl2_cli.files import atomic_write
from dvl2_cli.history.session import ChatSession, Speaker, Turn
from dvl2_cli.plain_file import read_plain_file

if TYPE_CHECKING:
    from dvl2_cli.inputs.picture import Picture

_SCHEMA = "dvl2.session/1"
_LARGEST = 2**30


def write_transcript(session: ChatSession, path: Path) -> None:
    """Write ``session`` to ``path``: Markdown if it ends in .md, else JSON.

    Raises:
        OutputError: the file cannot be written.
    """
    as_markdown = path.suffix.lower() in (".md", ".markdown")
    text = _as_markdown(session) if as_markdown else json.dumps(as_json(session)) + "\n"
    with atomic_write(path) as stream:
        stream.write(text.encode("utf-8", "replace").decode())


def read_transcript(path: Path) -> ChatSession:
    """The session in the JSON file ``path``; it has no id, so that it is kept as a new one.

    Raises:
        InputError: it cannot be read or is no session.
    """
    try:
        return from_json(json.loads(read_plain_file(path, _LARGEST)))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is no saved session: {error}") from error


def as_json(session: ChatSession) -> dict[str, Any]:
    """The session as JSON types."""
    turns = [
        {
            "role": turn.role,
            "text": turn.text,
            "finish_reason": turn.finish_reason,
            "pictures": [_picture_json(picture) for picture in turn.pictures],
        }
        for turn in session.turns
    ]
    return {"schema": _SCHEMA, "system": session.system, "turns": turns}


def from_json(value: Any) -> ChatSession:
    """The session that `as_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is something else.
    """
    if value["schema"] != _SCHEMA:
        raise ValueError(f"its schema is not {_SCHEMA}")
    turns = []
    for index, item in enumerate(value["turns"]):
        role: Speaker = "assistant" if index % 2 else "user"
        if item["role"] != role or not isinstance(item["text"], str):
            raise ValueError(f"turn {index + 1} is not the {role}'s text")
        pictures = tuple(_picture(picture) for picture in item["pictures"])
        turns.append(Turn(role, item["text"], pictures, item["finish_reason"]))
    if len(turns) % 2:
        raise ValueError("the last question has no answer")
    system = value["system"]
    if not (system is None or isinstance(system, str)):
        raise ValueError("its system prompt is no text")
    return ChatSession(system, turns)


def _picture_json(picture: Picture) -> dict[str, Any]:
    stream = io.BytesIO()
    picture.image.save(stream, "PNG", compress_level=1)
    return {
        "path": picture.path,
        "sha256": picture.sha256,
        "page": picture.page,
        "orientation_applied": picture.orientation_applied,
        "png": base64.b64encode(stream.getvalue()).decode("ascii"),
    }


def _picture(value: dict[str, Any]) -> Picture:
    from dvl2_cli.inputs.decode import decode_pages
    from dvl2_cli.inputs.picture import InputLimits, Picture

    try:
        data = base64.b64decode(value["png"], validate=True)
    except binascii.Error as error:
        raise ValueError("a picture is not base64") from error
    name = str(value["path"])
    found = next(iter(decode_pages(data, name, str(value["sha256"]), None, InputLimits())))
    if not isinstance(found, Picture):
        raise ValueError(found.error.message)
    page = value["page"]
    if not (page is None or type(page) is int):
        raise ValueError("a page is no number")
    turned = bool(value["orientation_applied"])
    return Picture(found.image, name, str(value["sha256"]), page, orientation_applied=turned)


def _as_markdown(session: ChatSession) -> str:
    parts = [f"> {session.system}"] if session.system else []
    for turn in session.turns:
        if turn.role == "user":
            images = [f"![]({picture.path})" for picture in turn.pictures]
            parts.append("\n".join([*images, f"**{turn.text}**"]))
        else:
            parts.append(turn.text)
    return "\n\n".join(parts) + "\n"
