"""What a cell of a benchmark file means: a missing value, a text, a list of answers."""

from __future__ import annotations

import ast
import math
from typing import Any

_MAX_LIST_CHARACTERS = 1_000_000


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, nothing, or pandas' word for it."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value in ("", "nan"))


def as_list(value: Any) -> list[str] | None:
    """The texts of a list, or of a list that is written as text; None for what is no list.

    Raises:
        ValueError: it looks like a list and cannot be read, is empty, or holds other things than
            texts and numbers.
    """
    if isinstance(value, str):
        if not (value.startswith("[") and value.endswith("]")):
            return None
        value = _literal(value)
    if not isinstance(value, (list, tuple)):
        return None
    if not value:
        raise ValueError("the list is empty")
    if not all(isinstance(item, (str, int, float)) for item in value):
        raise ValueError("the list holds something else than text")
    return [str(item) for item in value]


def _literal(text: str) -> Any:
    if len(text) > _MAX_LIST_CHARACTERS:
        raise ValueError(f"the list has {len(text)} characters")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("not a list of texts") from error
