"""The JSON Schemas (2020-12) of every command's output, made of the types of its lines.

``python -m dvl2_cli.results.schemas docs/schemas`` writes them; a test holds the published
files to the types.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from dvl2_cli.errors import Dvl2Error
from dvl2_cli.results.envelope import Envelope
from dvl2_cli.row import JsonRow, members
from dvl2_cli.units import NumberLimits

Schema = dict[str, Any]

# Where the types of lines are. They are looked up by name: some lie beside code that runs the
# network, which this package does not import.
_TYPES = {
    "results.ocr": ("OcrResult",),
    "results.ground": ("GroundResult",),
    "results.caption": ("CaptionResult",),
    "results.chat": ("ChatResult",),
    "results.models": (
        "LsRow", "ShowRow", "PullRow", "PullPlanRow", "RmRow", "QuantizeRow", "PsRow",
        "PsStopRow", "ServeRow",
    ),
    "results.records": (
        "DeletedRow", "SessionRow", "SettingsRow", "SettingRow", "SettingsPathRow",
        "TrainRow",
    ),
    "history.store": ("SessionSummary", "Hit"),
    "engine.plan_report": ("PlanRow",),
    "benchmarking.result": ("BenchResult",),
    "results.benchmark": ("BenchmarkAnswer", "BenchmarkScore", "BenchmarkComparison"),
    "evaluation.summary": ("EvalSummary",),
    "evaluation.report": ("AnswerRow",),
    "doctor.report": ("DoctorRow",),
}  # fmt: skip
# Names that the types' modules import for type checkers only.
_NAMES = {"ModelInfo": "engine.engine", "FinishReason": "engine.events"}
_JSON_TYPES = {str: "string", Path: "string", bool: "boolean", int: "integer", float: "number"}


def all_schemas() -> dict[str, Schema]:
    """File name under docs/schemas -> schema document."""
    forms: dict[str, list[type[JsonRow]]] = {}
    for module, names in _TYPES.items():
        for name in names:
            row = getattr(_module(module), name)
            forms.setdefault(row.schema, []).append(row)
    return {f"{name.replace('/', '.')}.json": _document(rows) for name, rows in forms.items()}


def _module(name: str) -> Any:
    return importlib.import_module(f"dvl2_cli.{name}")


def _document(rows: list[type[JsonRow]]) -> Schema:
    """The schema of lines that have one of the forms ``rows``."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": rows[0].heading,
    }
    first, *others = (_row(row) for row in rows)
    return {**head, "oneOf": [first, *others]} if others else {**head, **first}


def _row(kind: type[JsonRow]) -> Schema:
    schema = _object({"schema": {"const": kind.schema}, **_members(kind)}, _optional(kind))
    if issubclass(kind, Envelope):
        schema["if"] = {"properties": {"status": {"const": "failed"}}}
        schema["then"] = {"properties": {"error": {"type": "object"}}}
    return schema


def _optional(kind: type) -> tuple[str, ...]:
    """Members that are left out where there is nothing to say."""
    return getattr(kind, "OPTIONAL", ())


def _members(kind: Any) -> dict[str, Any]:
    """Name -> schema of what a dataclass or a ``TypedDict`` holds, properties included."""
    base = get_origin(kind) or kind
    filled = dict(zip(getattr(base, "__parameters__", ()), get_args(kind), strict=True))
    hints = _hints(base)
    names = tuple(hints) if is_typeddict(base) else members(base)
    found = {}
    for name in names:
        hint = hints[name] if name in hints else _hints(getattr(base, name).fget)["return"]
        if name in _optional(base):
            hint = _without_none(hint)
        found[name] = schema_of(filled[hint] if isinstance(hint, TypeVar) else hint)
    return found


def _hints(holder: Any) -> dict[str, Any]:
    names = {name: getattr(_module(module), name) for name, module in _NAMES.items()}
    return get_type_hints(holder, localns=names, include_extras=True)


def schema_of(kind: Any) -> Any:
    """The schema of values of the type ``kind``: an object, or True for any value.

    Raises:
        TypeError: JSON has no such values.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin is Annotated:
        return {**_plain(inner[0]), **_limits(inner[1])}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, UnionType):
        return _union(inner)
    if origin is dict:
        values = {} if inner[1] is Any else {"additionalProperties": schema_of(inner[1])}
        return {"type": "object", **values}
    if origin is list or (origin is tuple and inner[-1] is ...):
        return {"type": "array", "items": schema_of(inner[0])}
    if origin is tuple:
        size = len(inner)
        return {"type": "array", "items": schema_of(inner[0]), "minItems": size, "maxItems": size}
    if kind in _JSON_TYPES:
        return _plain(kind)
    if issubclass(origin or kind, Enum):
        return {"enum": [item.value for item in kind]}
    if issubclass(origin or kind, Dvl2Error):
        kind = _hints(kind.as_json)["return"]
    if is_typeddict(kind) or is_dataclass(origin or kind):
        return _object(_members(kind), _optional(origin or kind))
    raise TypeError(f"JSON has no {kind}")


def _plain(kind: Any) -> Schema:
    return {"type": _JSON_TYPES[kind]}


def _limits(limits: NumberLimits) -> Schema:
    named = {name: getattr(limits, name) for name in limits.__slots__}
    return {name: value for name, value in named.items() if value is not None}


def _object(properties: dict[str, Any], optional: tuple[str, ...]) -> Schema:
    """An object with these members and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _without_none(kind: Any) -> Any:
    kinds = [item for item in get_args(kind) if item is not NoneType]
    return kinds[0] if len(kinds) == 1 else kind


def _union(kinds: tuple[Any, ...]) -> Schema:
    """One of ``kinds``; null is written into a plain type or an enumeration."""
    schemas = [schema_of(kind) for kind in kinds if kind is not NoneType]
    null = len(schemas) < len(kinds)
    if len(schemas) > 1:  # of plain types
        names = [schema["type"] for schema in schemas]
        return {"type": [*names, "null"] if null else names}
    (schema,) = schemas
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    if "properties" in schema or "items" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def main(folder: str) -> None:
    """Write every schema to ``folder``."""
    for name, schema in all_schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        (Path(folder) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
