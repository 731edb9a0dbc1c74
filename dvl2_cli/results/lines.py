"""JSON lines that are safe on a terminal and lossless in a file."""

from __future__ import annotations

import json
import re
from typing import Any, TextIO

# Valid inside a JSON string, but unfit for a terminal (DEL, C1, bidirectional marks), for
# line readers (U+2028/9) or for UTF-8 (surrogates, from file names that are not UTF-8).
_ESCAPED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")

_SURROGATE = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """``text`` as UTF-8 can hold it; bytes of file names that are not UTF-8 become U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def json_line(value: Any) -> str:
    """``value`` as one line of JSON without the newline; infinities and NaN are refused.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def json_document(value: Any) -> str:
    """``value`` as an indented JSON document with a newline at its end."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n"


def write_json_line(stream: TextIO, value: dict[str, Any]) -> None:
    """Write one line and flush it, so that a reader sees results as they come."""
    stream.write(json_line(value) + "\n")
    stream.flush()
