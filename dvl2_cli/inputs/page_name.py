"""How messages name an input, or a page of one."""

from __future__ import annotations


def page_name(path: str, page: int | None) -> str:
    """An input as messages name it, or its page, which counts from 1."""
    return path if page is None else f"{path} page {page}"
