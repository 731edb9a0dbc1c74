"""URLs as messages and results show them: without a login."""

from __future__ import annotations


def without_login(url: str) -> str:
    """``url`` without ``user:password@``, for messages and results."""
    scheme, mark, rest = url.partition("://")
    end = min((rest.find(char) for char in "/?#" if char in rest), default=len(rest))
    return f"{scheme}{mark}{rest[:end].rpartition('@')[2]}{rest[end:]}"
