"""Taking typed values out of a JSON table, collecting what is wrong instead of stopping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from dvl2_cli.store.problems import Problem, fetch_again

_LARGEST_JSON = 200_000_000  # bytes; released tokenizer files have under 10 million
_REQUIRED: Any = object()
_Value = TypeVar("_Value")


def read_json(path: Path, problems: list[Problem]) -> dict[str, Any] | None:
    """The JSON object in ``path``; None, with the reason in ``problems``, if there is none."""
    remedy = fetch_again(path)
    try:
        if path.stat().st_size > _LARGEST_JSON:
            problems.append(Problem(f"{path} is too large to be a model's JSON file", remedy))
            return None
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        problems.append(Problem(f"{path} is missing", remedy))
    except OSError as error:
        hint = "Check its permissions."
        problems.append(Problem(f"{path} cannot be read: {error.strerror}", hint))
    except (ValueError, RecursionError):
        problems.append(Problem(f"{path} is not valid JSON: truncated or damaged", remedy))
    else:
        if isinstance(content, dict):
            return content
        problems.append(Problem(f"{path} does not hold a JSON object", remedy))
    return None


class Fields:
    """The values of one table of ``config.json``; faults go to ``problems``.

    A faulty value reads as a harmless stand-in so that one pass finds every fault.
    """

    def __init__(self, path: Path, section: str, problems: list[Problem], table: Any) -> None:
        self._path = path
        self._section = section
        self._problems = problems
        self._table: dict[str, Any] = table if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            self.fault(f"has no table {section!r}")

    def fault(self, what: str) -> None:
        """Record that the file ``what``."""
        self._problems.append(Problem(f"{self._path} {what}", fetch_again(self._path)))

    def present(self, key: str) -> bool:
        """Whether ``key`` is there and not null."""
        return self._table.get(key) is not None

    def integer(self, key: str, default: int = _REQUIRED, least: int = 1) -> int:
        """A whole number of at least ``least``."""
        value = self._get(key, default)
        if type(value) is int and value >= least:
            return value
        return self._wrong(key, value, f"a whole number of at least {least}", least)

    def optional_integer(self, key: str, default: int | None = None) -> int | None:
        """A positive whole number, or null."""
        value = self._table.get(key, default)
        return None if value is None else self.integer(key, default or 1)

    def number(self, key: str, default: float) -> float:
        """A positive number."""
        value = self._get(key, default)
        if type(value) in (int, float) and 0 < value < float("inf"):
            return float(value)
        return self._wrong(key, value, "a positive number", 1.0)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._get(key, default)
        if isinstance(value, bool):
            return value
        return self._wrong(key, value, "true or false", default)

    def one_of(self, key: str, known: tuple[str, ...], default: str = _REQUIRED) -> str:
        """One of the ``known`` words."""
        value = self._get(key, default)
        if value in known:
            return str(value)
        return self._wrong(key, value, "one of " + ", ".join(known), known[0])

    def _get(self, key: str, default: Any) -> Any:
        return self._table.get(key, default)

    def _wrong(self, key: str, value: Any, wanted: str, stand_in: _Value) -> _Value:
        name = f"{self._section}.{key}" if self._section else key
        if value is _REQUIRED:
            self.fault(f"lacks {name} ({wanted})")
        else:
            self.fault(f"has {name} = {json.dumps(value)[:60]}, not {wanted}")
        return stand_in
