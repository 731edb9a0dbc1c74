"""What is typed while an answer is written: kept for the next prompt, as it was typed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def type_ahead() -> Iterator[None]:
    """Between prompts the terminal neither echoes keys into the answer nor changes them.

    In its usual mode it would turn Enter into Ctrl-J, which at the next prompt starts a line
    instead of sending it, and swallow Ctrl-D. Ctrl-C still interrupts. Prompts set their own
    mode and come back to this one.
    """
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios

    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    mode = termios.tcgetattr(stdin)
    mode[0] &= ~(termios.ICRNL | termios.INLCR)
    mode[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(stdin, termios.TCSADRAIN, mode)
    try:
        yield
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
