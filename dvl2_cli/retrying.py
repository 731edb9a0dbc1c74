"""When a server is asked again, and after how many seconds."""

from __future__ import annotations

import random

# Overloaded, or failing for now.
PASSING_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
MAX_ATTEMPTS = 4
_FIRST_WAIT_SECONDS = 0.5
_MAX_WAIT_SECONDS = 60.0


def wait_before(attempt: int, retry_after: str | None) -> float | None:
    """Seconds to wait after the failed ``attempt`` (0 is the first); None to give up.

    The server's Retry-After counts, up to a minute; without it the wait doubles, with jitter so
    that many clients do not come back at the same moment.
    """
    if attempt + 1 >= MAX_ATTEMPTS:
        return None
    seconds = retry_seconds(retry_after)
    if seconds is not None:
        return min(seconds, _MAX_WAIT_SECONDS)
    return _FIRST_WAIT_SECONDS * 2.0**attempt * random.uniform(0.75, 1.25)  # noqa: S311


def retry_seconds(retry_after: str | None) -> float | None:
    """The seconds of a Retry-After header; None where it has none (a date counts as none)."""
    text = (retry_after or "").strip()
    return float(text) if text.isdecimal() and len(text) < 10 else None
