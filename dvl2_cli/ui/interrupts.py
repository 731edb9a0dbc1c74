"""Ctrl-C: once finishes what is being answered and stops, twice stops at once."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType


class Interrupts:
    """While entered, Ctrl-C is counted instead of raised, from `begin` on.

    ``stop`` says that no further input should be started; ``cancel``, given to the engine,
    ends the answer. With one input only, the first Ctrl-C cancels.
    """

    def __init__(self, *, several: bool) -> None:
        self.stop = False
        self.cancel = threading.Event()
        self._several = several
        self._answering = False
        self._previous: object = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._pressed)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)  # type: ignore[arg-type]

    def begin(self) -> None:
        """From here on there is an answer worth finishing."""
        self._answering = True

    def _pressed(self, number: int, frame: FrameType | None) -> None:
        if not self._answering or self.cancel.is_set():
            raise KeyboardInterrupt
        first, self.stop = not self.stop, True
        # Told last: who reads it may press again before this returns.
        if self._several and first:
            sys.stderr.write("dvl2: finishing this one; Ctrl-C again stops at once\n")
            sys.stderr.flush()
        else:
            self.cancel.set()
