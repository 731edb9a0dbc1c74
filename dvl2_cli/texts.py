"""Text files in the encodings that editors and shells write: UTF-8 and UTF-16."""

from __future__ import annotations

import codecs

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SAMPLE = 32
_MIN_PAIRS = 4


def decode_text(data: bytes) -> str:
    """``data`` as text without its byte order mark.

    Raises:
        UnicodeDecodeError: neither UTF-8 nor UTF-16.
    """
    return data.decode(utf16_of(data) or "utf-8").removeprefix("\ufeff")


def utf16_of(head: bytes) -> str | None:
    """The codec of UTF-16 text, by its byte order mark or by every second byte being zero."""
    if head[:2] in _UTF16:
        return _UTF16[head[:2]]
    even, odd = head[0:_SAMPLE:2], head[1:_SAMPLE:2]
    if len(odd) >= _MIN_PAIRS and not any(odd) and all(even):
        return "utf-16-le"
    if len(odd) >= _MIN_PAIRS and not any(even) and all(odd):
        return "utf-16-be"
    return None
