"""Keeping control characters from the terminal."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")


def printable(text: str) -> str:
    r"""``text`` with every control character but tab and newline shown as ``\\xNN``.

    Covers C0, DEL, C1 and the bidirectional overrides, so that model output, file names
    and server messages cannot move the cursor, recolour or reorder what is on screen.
    """
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


def one_line(text: str) -> str:
    r"""As `printable`, and with a newline shown as ``\\n``: a name cannot forge a message."""
    return printable(text).replace("\n", "\\n")
