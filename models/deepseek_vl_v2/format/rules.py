"""What a field of a JSON table may hold, and reading tables by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

_Table = TypeVar("_Table")
_MAX_SHOWN = 60  # characters of a wrong value


@dataclass(frozen=True, slots=True)
class Rule:
    """``accepts`` decides about a value; ``wanted`` says in words what it has to be.

    ``stand_in`` is read in place of a wrong value, so that one pass finds every fault.
    """

    wanted: str
    accepts: Callable[[Any], bool]
    stand_in: Any


def whole(default: int | None, least: int, most: int, *, nullable: bool = False) -> Any:
    """A field for whole numbers from ``least`` to ``most``, and null where it is ``nullable``."""

    def accepts(value: Any) -> bool:
        return (value is None and nullable) or (type(value) is int and least <= value <= most)

    return _field(default, f"a whole number from {least} to {most}", accepts, least)


def number(default: float, least: float, most: float) -> Any:
    """A field for numbers from ``least`` to ``most``."""

    def accepts(value: Any) -> bool:
        return type(value) in (int, float) and least <= value <= most

    return _field(default, f"a number from {least:g} to {most:g}", accepts, default)


def flag(default: bool) -> Any:
    """A field for true or false."""
    return _field(default, "true or false", lambda value: isinstance(value, bool), default)


def word(default: str, *known: str) -> Any:
    """A field for one of the ``known`` words."""

    def accepts(value: Any) -> bool:
        return isinstance(value, str) and value in known

    return _field(default, f"one of {', '.join(known)}", accepts, known[0])


def tokens(default: int | None) -> Any:
    """A field for a token's id, a list of them, or null."""

    def is_id(value: Any) -> bool:
        return type(value) is int and 0 <= value < 2**31

    def accepts(value: Any) -> bool:
        return (
            value is None
            or is_id(value)
            or (isinstance(value, list) and len(value) > 0 and all(map(is_id, value)))
        )

    return _field(default, "a token's id, a list of ids or null", accepts, default)


def null() -> Any:
    """A field that no release sets."""
    return _field(None, "null: no released model sets it", lambda value: value is None, None)


def rule_of(table: type, name: str) -> Rule:
    """The rule of a field of ``table``."""
    found: Rule = next(item for item in fields(table) if item.name == name).metadata["rule"]
    return found


def read_table(
    kind: type[_Table], section: str, content: Any, faults: list[str]
) -> tuple[_Table, Mapping[str, Any]]:
    """The fields of ``kind`` in a JSON table, and the table itself.

    Args:
        kind: a dataclass whose fields have rules; absent fields take its defaults.
        section: the table's name in its file; "" for the file itself.
        content: what the file has there.
        faults: gets what is wrong, in words that complete "FILE ...".
    """
    table: dict[str, Any] = content if isinstance(content, dict) else {}
    if not isinstance(content, dict):
        faults.append(f"has no table {section!r}")
    values = {}
    for item in fields(kind):  # type: ignore[arg-type]
        rule: Rule = item.metadata["rule"]
        value = table.get(item.name, item.default)
        # A default is the format's, also where no release uses it.
        if item.name in table and not rule.accepts(value):
            faults.append(wrong(section, item.name, value, rule.wanted))
            value = rule.stand_in
        values[item.name] = value
    return kind(**values), table


def wrong(section: str, name: str, value: object, wanted: str) -> str:
    """That a field has a wrong value, in words that complete "FILE ..."."""
    shown = json.dumps(value, default=repr)[:_MAX_SHOWN]
    return f"has {_full(section, name)} = {shown}, not {wanted}"


def lacking(section: str, name: str, wanted: str) -> str:
    """That a field is absent, in words that complete "FILE ..."."""
    return f"lacks {_full(section, name)} ({wanted})"


def _full(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name


def other(default: Any, wanted: str, accepts: Callable[[Any], bool]) -> Any:
    """A field for what ``accepts`` takes."""
    return _field(default, wanted, accepts, default)


def _field(default: Any, wanted: str, accepts: Callable[[Any], bool], stand_in: Any) -> Any:
    return field(default=default, metadata={"rule": Rule(wanted, accepts, stand_in)})
