"""A line of ``--json`` as a type: its members become the JSON and the JSON Schema."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from dvl2_cli.errors import Dvl2Error


class JsonRow:
    """Base of the dataclasses that commands print.

    ``schema`` is the first member of every line. ``heading`` is the title of the JSON Schema.
    """

    __slots__ = ()

    schema: ClassVar[str]
    heading: ClassVar[str]

    def as_json(self) -> dict[str, Any]:
        """The JSON object: ``schema``, then the members in their order."""
        return {"schema": self.schema, **plain(self)}


def members(kind: type) -> tuple[str, ...]:
    """The names in the JSON of a dataclass: ``MEMBERS``, or else its fields."""
    named: tuple[str, ...] | None = getattr(kind, "MEMBERS", None)
    return tuple(item.name for item in fields(kind)) if named is None else named


def plain(value: Any) -> Any:
    """``value`` as JSON types: dataclasses and errors to objects, tuples to arrays."""
    if isinstance(value, Dvl2Error):
        return value.as_json()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in members(type(value))}
    if isinstance(value, Path):
        return str(value)
    return value.value if isinstance(value, Enum) else value
