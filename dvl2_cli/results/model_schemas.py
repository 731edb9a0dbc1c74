"""The JSON Schemas (2020-12) of the commands that manage models."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_BYTES: Schema = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0}
_TIME: Schema = {"type": ["number", "null"], "description": "Seconds since 1970."}
_HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _document(command: str, /, **members: Schema) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"One line of dvl2 {command} --json",
        **_object(schema={"const": f"dvl2.{command}/1"}, **members),
    }


def _ls() -> Schema:
    return _document(
        "ls",
        name=_STRING,
        id=_STRING,
        quant=_STRING,
        revision=_TEXT_OR_NULL,
        state={"enum": ["bundled", "pulled", "incomplete"]},
        size=_BYTES,
        folder=_STRING,
        pulled_at=_TIME,
        used_at=_TIME,
        default={"type": "boolean"},
    )


def _show() -> Schema:
    part = _object(
        name=_STRING, tensors=_BYTES, parameters=_BYTES, nbytes=_BYTES, formats=_list(_STRING)
    )
    return _document(
        "show",
        id=_STRING,
        revision=_TEXT_OR_NULL,
        quant=_STRING,
        folder=_STRING,
        reason=_STRING,
        licence=_TEXT_OR_NULL,
        architecture={"type": ["object", "null"]},
        parameters=_COUNT_OR_NULL,
        active_parameters=_COUNT_OR_NULL,
        context_length=_COUNT_OR_NULL,
        parts=_list(part),
        files=_list(_object(name=_STRING, size=_BYTES)),
        problems=_list(_object(message=_STRING, hint=_STRING)),
    )


def _pull() -> Schema:
    return _document(
        "pull",
        id=_STRING,
        revision=_STRING,
        licence=_TEXT_OR_NULL,
        folder=_STRING,
        files=_list(_object(name=_STRING, size=_BYTES, sha256=_HASH)),
        copy={"anyOf": [_object(quant=_STRING, folder=_STRING), {"type": "null"}]},
    )


def _rm() -> Schema:
    return _document("rm", id=_STRING, quant=_STRING, revision=_TEXT_OR_NULL, size=_BYTES)


def model_schemas() -> dict[str, Schema]:
    """Command name to schema document."""
    return {"ls": _ls(), "show": _show(), "pull": _pull(), "rm": _rm()}
