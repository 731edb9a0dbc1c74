"""Pieces that the JSON Schemas of several commands share."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
BOOLEAN: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
SECONDS: Schema = {"type": "number", "minimum": 0}
COUNT: Schema = {"type": "integer", "minimum": 0}
COUNT_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0}
BYTES: Schema = {"type": "integer", "minimum": 0, "description": "Bytes."}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}


def object_of(**properties: Schema) -> Schema:
    """An object with exactly these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def list_of(items: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": items}


def map_of(values: Schema) -> Schema:
    """An object with members of any name."""
    return {"type": "object", "additionalProperties": values}


def or_null(schema: Schema) -> Schema:
    """``schema`` or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def choice(*values: str | None) -> Schema:
    """One of ``values``."""
    return {"enum": list(values)}


def document(name: str, title: str, /, **members: Schema) -> Schema:
    """The schema ``dvl2.NAME/1`` of one line of output."""
    return headed(title, object_of(schema=named(name), **members))


def headed(title: str, schema: Schema) -> Schema:
    """``schema`` as a document of its own."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": title, **schema}


def named(name: str) -> Schema:
    """The member that says which schema a line follows."""
    return {"const": f"dvl2.{name}/1"}


ERROR = object_of(code=STRING, message=STRING, hint=TEXT_OR_NULL)
# planning.plan.Plan.as_json
PLAN = object_of(
    device=STRING,
    cap=COUNT_OR_NULL,
    by_tier=object_of(gpu=BYTES, ram=BYTES, disk=BYTES),
    placements=list_of(
        object_of(what=STRING, tier=choice("gpu", "ram", "disk"), nbytes=BYTES, reason=STRING)
    ),
    read_per_token=BYTES,
    cache_per_token=BYTES,
    cache_per_token_expanded=BYTES,
    resident_experts=SHARE,
)
