"""The part of a JSON Schema that a grammar can hold an answer to while it is written."""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]

# A text that runs into a loop must end, so that the JSON around it closes. In characters.
MAX_TEXT = 1000
# Keywords of 2020-12 for which llguidance has no grammar.
_UNENFORCED = frozenset(
    {
        "uniqueItems", "not", "if", "then", "else", "contains", "minContains", "maxContains",
        "dependentRequired", "dependentSchemas", "dependencies", "propertyNames",
        "unevaluatedProperties", "unevaluatedItems", "$dynamicRef",
    }
)  # fmt: skip
_FORMATS = frozenset(
    {
        "date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri",
    }
)  # fmt: skip
# Look-around and references back to a group.
_IRREGULAR = re.compile(r"\(\?(?:=|!|<[=!])|\\[1-9]")
_TABLES = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")
_BOUND = ("maxLength", "pattern", "format", "enum", "const")


def enforceable(schema: Any, place: str = "$") -> tuple[Any, list[str]]:
    """``schema`` without what cannot be enforced, and the names and places of that.

    What is left allows at least what ``schema`` allows, but for texts of more than ``MAX_TEXT``
    characters where it sets no limit.
    """
    if not isinstance(schema, dict):
        return schema, []
    kept: Schema = {}
    left: list[str] = []
    for key, value in schema.items():
        inside = f"{place}.{key}"
        if _is_unenforced(key, value):
            left.append(f"{key} at {place}")
        elif key in _TABLES and isinstance(value, dict):
            parts = {name: enforceable(part, f"{inside}.{name}") for name, part in value.items()}
            kept[key] = {name: part for name, (part, _) in parts.items()}
            left += [name for _, names in parts.values() for name in names]
        elif key in _LISTS and isinstance(value, list):
            items = [enforceable(part, f"{inside}[{index}]") for index, part in enumerate(value)]
            kept[key] = [part for part, _ in items]
            left += [name for _, names in items for name in names]
        elif key in _SINGLE:
            kept[key], names = enforceable(value, inside)
            left += names
        else:
            kept[key] = value
    if "oneOf" in kept and "anyOf" not in kept:
        kept["anyOf"] = kept.pop("oneOf")
        left.append(f"oneOf at {place}")
    if _is_text(kept.get("type")) and not any(key in kept for key in _BOUND):
        kept["maxLength"] = max(MAX_TEXT, int(kept.get("minLength", 0)))
    return kept, left


def _is_text(kind: Any) -> bool:
    """Whether values of a schema's ``type`` may be texts."""
    return kind == "string" or (isinstance(kind, list) and "string" in kind)


def _is_unenforced(key: str, value: Any) -> bool:
    if key == "pattern":
        return isinstance(value, str) and _IRREGULAR.search(value) is not None
    if key == "format":
        return value not in _FORMATS
    return key in _UNENFORCED
