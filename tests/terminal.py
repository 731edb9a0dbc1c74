"""``dvl2`` on a terminal that a test can read: a pty and a screen that understands escapes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte


class Terminal:
    """A program in a pseudo-terminal; `text` is what a person would see, scrolled lines too."""

    def __init__(
        self,
        *arguments: str,
        rows: int = 30,
        columns: int = 100,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        seconds: float = 30.0,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=5000)
        self.screen.write_process_input = self._reply  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self.screen)
        self._seconds = seconds
        self.raw = b""
        self.process = pexpect.spawn(
            sys.executable,
            list(arguments),
            env=env,
            cwd=None if cwd is None else str(cwd),
            dimensions=(rows, columns),
            echo=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.close(force=True)

    @property
    def text(self) -> str:
        """All lines, blanks at their ends cut."""
        top = [
            "".join(line[column].data for column in range(self.screen.columns))
            for line in self.screen.history.top
        ]
        return "\n".join(line.rstrip() for line in [*top, *self.screen.display]).rstrip()

    def send(self, keys: str) -> None:
        """Type ``keys``."""
        self.process.send(keys)

    def wait(self, wanted: str, *, count: int = 1) -> str:
        """Read until ``wanted`` is seen ``count`` times; the text."""
        deadline = time.monotonic() + self._seconds
        while self.text.count(wanted) < count:
            assert time.monotonic() < deadline, f"{wanted!r} was not seen in:\n{self.text}"
            if not self._read():
                assert self.text.count(wanted) >= count, f"ended without {wanted!r}:\n{self.text}"
        return self.text

    def end(self) -> int:
        """Read until the program ends; its exit code."""
        while self._read():
            pass
        self.process.wait()
        return int(self.process.exitstatus if self.process.exitstatus is not None else -1)

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size."""
        self.screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def _read(self) -> bool:
        try:
            data = self.process.read_nonblocking(65536, timeout=0.1)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def _reply(self, data: str) -> None:
        # Answers of the terminal itself, as to "where is the cursor?".
        self.process.send(data)
