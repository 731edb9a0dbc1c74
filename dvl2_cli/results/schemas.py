"""The JSON Schemas (2020-12) of every command's output.

``python -m dvl2_cli.results.schemas docs/schemas`` writes them; a test holds the published
files to this module.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dvl2_cli.results.model_schemas import model_schemas
from dvl2_cli.results.record_schemas import record_schemas
from dvl2_cli.results.report_schemas import report_schemas
from dvl2_cli.results.schema_parts import (
    BOOLEAN,
    COUNT,
    ERROR,
    NUMBER,
    SECONDS,
    STRING,
    Schema,
    choice,
    headed,
    list_of,
    named,
    object_of,
    or_null,
)

_BOX: Schema = {"type": "array", "items": NUMBER, "minItems": 4, "maxItems": 4}
_SCORE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_SOURCE = object_of(
    path=STRING,
    sha256=or_null({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
    page=or_null({"type": "integer", "minimum": 1}),
    width=or_null({"type": "integer", "minimum": 1}),
    height=or_null({"type": "integer", "minimum": 1}),
    orientation_applied=BOOLEAN,
)
_SPAN = object_of(
    span={"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2}, text=STRING, box=_BOX
)


def _envelope(name: str, optional: Schema | None = None, **members: Schema) -> Schema:
    shared = {
        "schema": named(name),
        "status": choice("ok", "partial", "failed"),
        "error": or_null(ERROR),
        "warnings": list_of(STRING),
        "source": or_null(_SOURCE),
        "model": or_null(object_of(id=STRING, revision=or_null(STRING), quant=STRING)),
        "usage": or_null(
            object_of(
                prompt_tokens=COUNT,
                image_tokens=COUNT,
                completion_tokens=COUNT,
                seconds=SECONDS,
            )
        ),
        "finish_reason": choice("stop", "length", "loop", "cancelled", None),
        "raw": or_null(STRING),
    }
    document = object_of(**shared, **members)
    document["properties"] |= optional or {}
    document["if"] = {"properties": {"status": {"const": "failed"}}}
    document["then"] = {"properties": {"error": {"type": "object"}}}
    return headed(f"One line of dvl2 {name} --json", document)


def _ground() -> Schema:
    return _envelope(
        "ground",
        coordinates=object_of(
            unit=choice("pixel"), origin=choice("top-left"), format=choice("xyxy")
        ),
        objects=list_of(
            object_of(
                id=COUNT,
                query=or_null(STRING),
                label=STRING,
                box=_BOX,
                box_999=_BOX,
                score=_SCORE,
            )
        ),
        rejected=list_of(object_of(text=STRING, reason=STRING)),
        drawn=or_null(STRING),
        optional={"crops": list_of(STRING), "caption": STRING, "grounding": list_of(_SPAN)},
    )


def _ocr() -> Schema:
    return _envelope(
        "ocr",
        text=STRING,
        markdown=STRING,
        tables=list_of(object_of(html=STRING, rows=list_of(list_of(STRING)), box=or_null(_BOX))),
        blocks=list_of(
            object_of(
                type=choice(
                    "heading", "paragraph", "list", "table", "code", "formula", "line", "word"
                ),
                text=STRING,
                box=or_null(_BOX),
                box_source=choice("model", "rapidocr", None),
                score=_SCORE,
            )
        ),
        fields=or_null({"type": "object"}),
        quality=object_of(
            loop_detected=BOOLEAN,
            degenerate=BOOLEAN,
            truncated=BOOLEAN,
            retries=COUNT,
            bands=COUNT,
        ),
    )


def _caption() -> Schema:
    return _envelope(
        "caption",
        caption=or_null(STRING),
        length=choice("short", "normal", "long"),
        grounding=list_of(_SPAN),
        written=list_of(STRING),
        skipped=or_null(STRING),
    )


def _chat() -> Schema:
    return _envelope(
        "chat",
        answer=STRING,
        sources=list_of(_SOURCE),
        code=or_null(STRING),
        language=or_null(STRING),
        data=True,  # type: ignore[arg-type]  # any JSON value
        session=or_null(STRING),
    )


def all_schemas() -> dict[str, Schema]:
    """File name under docs/schemas -> schema document."""
    documents = {"ocr": _ocr(), "ground": _ground(), "caption": _caption(), "chat": _chat()}
    documents |= model_schemas() | report_schemas() | record_schemas()
    return {f"dvl2.{name}.1.json": document for name, document in documents.items()}


def main(folder: str) -> None:
    """Write every schema to ``folder``."""
    for name, schema in all_schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        (Path(folder) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
