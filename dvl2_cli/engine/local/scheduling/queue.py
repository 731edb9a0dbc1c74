"""The requests that wait to run, first come, first served."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from dvl2_cli.engine.local.scheduling.sequence import Sequence
from dvl2_cli.errors import QueueFullError


class WaitingQueue:
    """A bounded queue.

    Args:
        limit: most requests that wait.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[Sequence] = deque()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether no more may wait."""
        return len(self._waiting) >= self._limit

    def push(self, sequence: Sequence) -> None:
        """Let one more wait.

        Raises:
            QueueFullError: too many do.
        """
        if self.is_full:
            raise QueueFullError(
                f"{self._limit} requests wait already", "Ask again later, or fewer at once."
            )
        self._waiting.append(sequence)

    def first(self) -> Sequence | None:
        """Who waits longest."""
        return self._waiting[0] if self._waiting else None

    def pop(self) -> Sequence:
        """Let the first one go."""
        return self._waiting.popleft()

    def drop(self, unwanted: Callable[[Sequence], bool]) -> list[Sequence]:
        """Remove some; those that are gone."""
        gone = [sequence for sequence in self._waiting if unwanted(sequence)]
        for sequence in gone:
            self._waiting.remove(sequence)
        return gone
