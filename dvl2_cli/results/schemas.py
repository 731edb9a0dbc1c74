"""The JSON Schemas (2020-12) of every command's output.

``python -m dvl2_cli.results.schemas docs/schemas`` writes them; a test holds the published
files to this module.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dvl2_cli.results.model_schemas import model_schemas

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_BOX: Schema = {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4}
_SCORE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _choice(*values: str | None) -> Schema:
    return {"enum": list(values)}


_SOURCE = _object(
    path=_STRING,
    sha256=_or_null({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
    page=_or_null({"type": "integer", "minimum": 1}),
    width=_or_null({"type": "integer", "minimum": 1}),
    height=_or_null({"type": "integer", "minimum": 1}),
    orientation_applied=_BOOLEAN,
)
_SPAN = _object(
    span={"type": "array", "items": _COUNT, "minItems": 2, "maxItems": 2}, text=_STRING, box=_BOX
)


def _envelope(name: str, optional: Schema | None = None, **members: Schema) -> Schema:
    shared = {
        "schema": {"const": f"dvl2.{name}/1"},
        "status": _choice("ok", "partial", "failed"),
        "error": _or_null(_object(code=_STRING, message=_STRING, hint=_or_null(_STRING))),
        "warnings": _list(_STRING),
        "source": _or_null(_SOURCE),
        "model": _or_null(_object(id=_STRING, revision=_or_null(_STRING), quant=_STRING)),
        "usage": _or_null(
            _object(
                prompt_tokens=_COUNT,
                image_tokens=_COUNT,
                completion_tokens=_COUNT,
                seconds={"type": "number", "minimum": 0},
            )
        ),
        "finish_reason": _choice("stop", "length", "loop", "cancelled", None),
        "raw": _or_null(_STRING),
    }
    document = _object(**shared, **members)
    document["properties"] |= optional or {}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"One line of dvl2 {name} --json",
        **document,
        "if": {"properties": {"status": {"const": "failed"}}},
        "then": {"properties": {"error": {"type": "object"}}},
    }


def _ground() -> Schema:
    return _envelope(
        "ground",
        coordinates=_object(
            unit=_choice("pixel"), origin=_choice("top-left"), format=_choice("xyxy")
        ),
        objects=_list(
            _object(
                id=_COUNT,
                query=_or_null(_STRING),
                label=_STRING,
                box=_BOX,
                box_999=_BOX,
                score=_SCORE,
            )
        ),
        rejected=_list(_object(text=_STRING, reason=_STRING)),
        drawn=_or_null(_STRING),
        optional={"crops": _list(_STRING), "caption": _STRING, "grounding": _list(_SPAN)},
    )


def _ocr() -> Schema:
    return _envelope(
        "ocr",
        text=_STRING,
        markdown=_STRING,
        tables=_list(_object(html=_STRING, rows=_list(_list(_STRING)), box=_or_null(_BOX))),
        blocks=_list(
            _object(
                type=_choice(
                    "heading", "paragraph", "list", "table", "code", "formula", "line", "word"
                ),
                text=_STRING,
                box=_or_null(_BOX),
                box_source=_choice("model", "rapidocr", None),
                score=_SCORE,
            )
        ),
        fields=_or_null({"type": "object"}),
        quality=_object(
            loop_detected=_BOOLEAN,
            degenerate=_BOOLEAN,
            truncated=_BOOLEAN,
            retries=_COUNT,
            bands=_COUNT,
        ),
    )


def _caption() -> Schema:
    return _envelope(
        "caption",
        caption=_or_null(_STRING),
        length=_choice("short", "normal", "long"),
        grounding=_list(_SPAN),
        written=_list(_STRING),
        skipped=_or_null(_STRING),
    )


def _chat() -> Schema:
    return _envelope(
        "chat",
        answer=_STRING,
        sources=_list(_SOURCE),
        code=_or_null(_STRING),
        language=_or_null(_STRING),
        data=True,  # type: ignore[arg-type]  # any JSON value
        session=_or_null(_STRING),
    )


def all_schemas() -> dict[str, Schema]:
    """File name under docs/schemas -> schema document."""
    documents = {"ocr": _ocr(), "ground": _ground(), "caption": _caption(), "chat": _chat()}
    documents |= model_schemas()
    return {f"dvl2.{name}.1.json": document for name, document in documents.items()}


def main(folder: str) -> None:
    """Write every schema to ``folder``."""
    for name, schema in all_schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        (Path(folder) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
