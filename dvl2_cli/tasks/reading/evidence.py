"""Whether a field's value stands on the page: a check against invented values."""

from __future__ import annotations

import re
from typing import Any

from rapidfuzz.fuzz import partial_ratio

_ABSENT = re.compile(
    r"(?:|none|null|n/?a|unknown|not (?:found|given|shown|present|available|visible)"
    r"|there is no\b.*|the .{1,60} is not\b.*|no .{1,40} (?:is|are) (?:shown|given|visible).*)\.?",
    re.IGNORECASE | re.DOTALL,
)
_SUPPORTED = 80.0


def value_of(answer: str) -> str | None:
    """The value that an answer to "What is the …?" gives; None where it says there is none."""
    value = answer.strip()
    return None if _ABSENT.fullmatch(value) else value


def is_supported(value: str, text: str) -> bool:
    """Whether ``value`` stands in the text read from the page; digits must all be equal."""
    return not _folded(value) or _stands_in(value, text)


def unsupported(fields: dict[str, Any], text: str) -> list[str]:
    """A sentence for every value (nested ones too) that the text read from the page lacks."""
    return [
        f"field {name}: {value!r} is not in the text that was read"
        for name, value in _leaves(fields, "")
        if _folded(value) and not _stands_in(value, text)
    ]


def _stands_in(value: str, text: str) -> bool:
    # JSON writes 41.20 as 41.2, and 41.00 as 41.
    zeros = "0*" if re.search(r"\d[.,]\d+\Z", value) else r"(?:[.,]0+)?"
    value = _folded(value)
    if any(char.isdigit() for char in value):
        # Numbers that are nearly right are wrong, and so are parts of longer ones.
        characters = r"[\W_]*".join(map(re.escape, value))
        before = r"(?<!\d)(?<!\d[.,])" if value[0].isdigit() else ""
        after = zeros + r"(?![.,]?\d)" if value[-1].isdigit() else ""
        return re.search(before + characters + after, text.casefold()) is not None
    text = _folded(text)
    if value in text:
        return True
    return len(value) >= 4 and partial_ratio(value, text) >= _SUPPORTED


def _leaves(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        pairs = [(f"{name}.{key}" if name else str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{name}[{index}]", item) for index, item in enumerate(value)]
    elif value is None or isinstance(value, bool):
        return []
    else:
        return [(name, str(value))]
    return [leaf for key, item in pairs for leaf in _leaves(item, key)]


def _folded(text: str) -> str:
    """Letters and digits only, so that layout and currency signs make no difference."""
    return "".join(char for char in text.casefold() if char.isalnum())
