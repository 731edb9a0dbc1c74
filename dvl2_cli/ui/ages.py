"""How long ago something was, as people say it."""

from __future__ import annotations

import time

_UNITS = (
    ("year", 365 * 86400),
    ("month", 30 * 86400),
    ("week", 7 * 86400),
    ("day", 86400),
    ("hour", 3600),
    ("minute", 60),
)


def age(moment: float | None, now: float | None = None) -> str:
    """``moment`` (seconds since 1970) seen from ``now``: "3 days ago", "just now", "-" for None."""
    if moment is None:
        return "-"
    seconds = (time.time() if now is None else now) - moment
    for unit, length in _UNITS:
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
