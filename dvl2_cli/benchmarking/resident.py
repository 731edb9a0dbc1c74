"""Resident size of this process, and its peak."""

from __future__ import annotations

import contextlib
from pathlib import Path

_STATUS = Path("/proc/self/status")


def reset_peak() -> None:
    """Start the peak anew, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def resident() -> int:
    """Bytes in memory now, mapped files that were touched included."""
    return _status("VmRSS")


def resident_own() -> int:
    """Bytes in memory now that are not pages of a file."""
    return _status("RssAnon")


def resident_peak() -> int:
    """The highest ``resident`` since ``reset_peak``."""
    return _status("VmHWM")


def _status(key: str) -> int:
    try:
        text = _STATUS.read_text(encoding="ascii")
    except OSError:
        import psutil

        return int(psutil.Process().memory_info().rss)
    line = next(line for line in text.splitlines() if line.startswith(key + ":"))
    return int(line.split()[1]) * 1024
