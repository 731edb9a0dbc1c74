"""One request on its way through the scheduler."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from dvl2_cli.engine.events import Event
from dvl2_cli.engine.local.constraint import GrammarMask
from dvl2_cli.engine.local.decoder import SequenceCache
from dvl2_cli.engine.local.prompt import Prompt
from dvl2_cli.engine.local.scheduling.reading import PromptReading
from dvl2_cli.engine.local.scheduling.writing import AnswerWriting
from dvl2_cli.engine.request import Request


@dataclass(slots=True, eq=False)
class Sequence:
    """A request, and how far it has come: waiting, reading its prompt, writing, ended.

    Attributes:
        request: what was asked.
        prompt: its ids and pictures.
        cancel: ends it soon, when set.
        mask: of the answer's grammar, or None.
        shares_prefix: whether it may start from what other prompts left.
        events: those that nobody took yet.
        failure: why it ended without an answer.
        ended: whether no event follows.
        abandoned: whether nobody takes its events any more.
        cache: its own, while it runs.
        reading: of its prompt, from the first chunk on.
        writing: of its answer, from the first token on.
        most_running: sequences that ran at once while it did, at most.
        most_reserved: bytes that their caches might come to take.
        started: when it left the queue, and ``read`` when its prompt was through, in seconds of
            ``time.perf_counter``.
    """

    request: Request
    prompt: Prompt
    cancel: threading.Event
    mask: GrammarMask | None = None
    shares_prefix: bool = True
    events: deque[Event] = field(default_factory=deque)
    failure: Exception | None = None
    ended: bool = False
    abandoned: bool = False
    cache: SequenceCache | None = None
    reading: PromptReading | None = None
    writing: AnswerWriting | None = None
    most_running: int = 1
    most_reserved: int = 0
    started: float = field(default_factory=time.perf_counter)
    read: float = 0.0

    @property
    def positions(self) -> int:
        """Most positions that its cache may come to hold."""
        whole = len(self.prompt.ids) + self.request.sampling.max_new_tokens
        return min(whole, self.prompt.cost.context_length)

    @property
    def unwanted(self) -> bool:
        """Whether it should end now."""
        return self.abandoned or self.cancel.is_set()

    def fail(self, error: Exception) -> None:
        """End without an answer."""
        self.failure, self.ended = error, True
