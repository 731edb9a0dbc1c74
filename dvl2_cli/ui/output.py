"""stdout that fails cleanly: a closed pipe is silent, a full disk is one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from dvl2_cli.errors import OutputError
from dvl2_cli.results.lines import json_line
from dvl2_cli.ui.control import printable


class Output:
    """Writes data to stdout and flushes it at once.

    On a terminal control characters are made visible; in a pipe text goes out as it is,
    except that bytes of file names that are not UTF-8 become U+FFFD.

    Attributes:
        before_write: makes room on the terminal.

    Raises:
        OutputError: stdout cannot be written, for example because the disk is full.
    """

    def __init__(self) -> None:
        self.is_tty = sys.stdout.isatty()
        self.before_write: Callable[[], None] = lambda: None
        self._mid_line = False

    @property
    def mid_line(self) -> bool:
        """Whether the last text left its line open."""
        return self._mid_line

    def text(self, text: str) -> None:
        """Write ``text`` as it is."""
        shown = printable(text) if self.is_tty else text
        self._write(shown.encode("utf-8", "replace").decode("utf-8"))
        if shown:
            self._mid_line = not shown.endswith("\n")

    def end_line(self) -> None:
        """End the line that the last text began, if it did not end it."""
        if self._mid_line:
            self.text("\n")

    def line(self, text: str) -> None:
        """Write ``text`` and a newline."""
        self.text(text + "\n")

    def json(self, value: dict[str, Any]) -> None:
        """Write one line of JSON."""
        self._write(json_line(value) + "\n")

    def _write(self, text: str) -> None:
        self.before_write()
        try:
            sys.stdout.buffer.write(text.encode("utf-8"))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            _detach()
            sys.exit(0)
        except OSError as error:
            _detach()
            reason = error.strerror or str(error)
            raise OutputError(f"cannot write to stdout: {reason}") from error


def _detach() -> None:
    """Point stdout at nothing, so that the flush at exit does not fail again."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
