"""Continuous batching: sequences join and leave between the steps of the decoder.

Between two steps at most one piece of one prompt is read, a tile or a chunk, so that no answer
waits longer than that for its next token. Who came first reads first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from dvl2_cli.engine.events import Finished, FinishReason, Started
from dvl2_cli.engine.local.features import FeatureCache
from dvl2_cli.engine.local.loading import LoadedModel
from dvl2_cli.engine.local.memory import reported_out_of_memory
from dvl2_cli.engine.local.prompt import common_prefix
from dvl2_cli.engine.local.scheduling.prefixes import Prefix, PrefixStore
from dvl2_cli.engine.local.scheduling.queue import WaitingQueue
from dvl2_cli.engine.local.scheduling.reading import PromptReading
from dvl2_cli.engine.local.scheduling.sequence import Sequence
from dvl2_cli.engine.local.scheduling.writing import AnswerWriting

# Tokens of a prompt between two steps, alone and while answers are being written.
CHUNK_ALONE, CHUNK_BESIDE = 512, 128
# Rows of a step up to which drafts are read along: the kernels meet 16 rows at a time.
MAX_DRAFTED_ROWS = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """What a scheduler may take.

    Attributes:
        running: most sequences that run at once, 1 to 64: a step takes one row of each.
        waiting: most that wait for it.
        cache_bytes: for the caches of those that run, and of prompts kept for later ones. One
            sequence runs in any case.
    """

    running: int
    waiting: int
    cache_bytes: int


class Scheduler:
    """Runs sequences. Only one thread at a time steps it.

    Args:
        loaded: the model.
        features: keeps encoded pictures.
        limits: see there.
        finish: the last event of a sequence, of which it is told why it ended.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        features: FeatureCache,
        limits: Limits,
        finish: Callable[[Sequence, FinishReason], Finished],
    ) -> None:
        self.waiting = WaitingQueue(limits.waiting)
        self.running: list[Sequence] = []
        self.prefixes = PrefixStore()
        self._model, self._decoder, self._features = loaded.model, loaded.decoder, features
        self._processor, self._limits, self._finish = loaded.processor, limits, finish
        self._per_token = loaded.decoder.cache_bytes_per_token

    @property
    def reserved(self) -> int:
        """Bytes that the caches of the running sequences may come to take."""
        return sum(sequence.positions for sequence in self.running) * self._per_token

    def step(self) -> None:
        """Do the next thing: choose tokens that can be chosen, or read a piece of a prompt and
        one row of every answer.
        """
        self._drop_unwanted()
        self._admit()
        if self._choose_tokens():
            return
        for sequence in self.running:
            if sequence.writing is None:
                self._guarded([sequence], lambda: self._read(sequence))  # noqa: B023
                break
        ready = [item for item in self.running if item.writing is not None]
        if ready:
            self._guarded(ready, lambda: self._decode(ready))

    def drop_abandoned(self) -> None:
        """Let go of what sequences hold that nobody listens to."""
        self.waiting.drop(lambda sequence: sequence.abandoned)
        for sequence in [item for item in self.running if item.abandoned]:
            sequence.ended = True
            self._leave(sequence)

    def fail_all(self, error: Exception) -> None:
        """End every sequence with ``error``."""
        for sequence in [*self.running, *self.waiting.drop(lambda sequence: True)]:
            sequence.fail(error)
            self._leave(sequence)

    @property
    def _is_alone(self) -> bool:
        """Whether nothing is beside a sequence, or nothing may change how it is read.

        Where rounding depends on the number of rows, each sequence is read as if alone.
        """
        return len(self.running) == 1 or not self._decoder.batch_invariant

    def _drop_unwanted(self) -> None:
        for sequence in self.waiting.drop(lambda sequence: sequence.unwanted):
            self._end(sequence, "cancelled")
        for sequence in [item for item in self.running if item.unwanted]:
            self._end(sequence, "cancelled")

    def _admit(self) -> None:
        """Let sequences run in their order, as far as the caches have room."""
        while len(self.running) < self._limits.running:
            sequence = self.waiting.first()
            if sequence is None:
                return
            needed = sequence.positions * self._per_token
            room = self._limits.cache_bytes - self.reserved - needed
            if room < 0 and self.running:
                return
            self.waiting.pop()
            sequence.started = time.perf_counter()
            self.running.append(sequence)
            self.prefixes.shrink(max(room, 0))
            for item in self.running:
                item.most_running = max(item.most_running, len(self.running))
                item.most_reserved = max(item.most_reserved, self.reserved)

    def _choose_tokens(self) -> bool:
        """One token for every answer whose logits are there; whether there was any."""
        ready = [
            item
            for item in self.running
            if item.writing is not None and item.writing.logits is not None
        ]
        for sequence in ready:
            self._guarded([sequence], lambda: self._choose(sequence))  # noqa: B023
        return bool(ready)

    def _choose(self, sequence: Sequence) -> None:
        assert sequence.writing is not None  # noqa: S101
        token, reason = sequence.writing.take()
        if token is not None:
            sequence.events.append(token)
        if reason is not None:
            self._end(sequence, reason)

    def _read(self, sequence: Sequence) -> None:
        if sequence.reading is None:
            sequence.reading = self._start(sequence)
            sequence.events.append(Started(sequence.prompt.cost, sequence.reading.reused))
        logits = sequence.reading.go_on(CHUNK_ALONE if self._is_alone else CHUNK_BESIDE)
        if logits is not None:
            sequence.read = time.perf_counter()
            sequence.writing = AnswerWriting(
                sequence.request, sequence.prompt, self._processor, sequence.mask, logits
            )

    def _start(self, sequence: Sequence) -> PromptReading:
        """Give a sequence its cache, with what other prompts have in common with its own."""
        cache = self._decoder.open(sequence.positions)
        sequence.cache = cache
        source, length = self._shared_prefix(sequence)
        if source is not None:
            cache.copy_prefix(source, length)
        return PromptReading(
            sequence.prompt,
            length,
            cache,
            model=self._model,
            decoder=self._decoder,
            features=self._features,
        )

    def _shared_prefix(self, sequence: Sequence) -> tuple[object, int]:
        if not sequence.shares_prefix:
            return None, 0
        keys = sequence.prompt.keys
        prefix, longest = self.prefixes.longest(keys)
        source = None if prefix is None else prefix.cache
        for other in self.running:
            if other.cache is not None and other is not sequence:
                length = min(common_prefix(other.prompt.keys, keys), other.cache.length)
                if length > longest:
                    source, longest = other.cache, length
        # The last position is read anew: its logits are wanted.
        longest = min(longest, len(keys) - 1)
        return (source, longest) if longest else (None, 0)

    def _decode(self, sequences: list[Sequence]) -> None:
        """One step of the decoder with a row of every answer, and drafts where there is room."""
        spare = MAX_DRAFTED_ROWS - (1 if self._is_alone else len(sequences))
        parts = []
        for sequence in sequences:
            assert sequence.writing is not None and sequence.cache is not None  # noqa: S101, PT018
            # Behind a wrong draft, or a step that was broken off.
            sequence.cache.crop(sequence.writing.length - 1)
            tokens = sequence.writing.next_tokens(spare)
            spare -= 0 if self._is_alone else len(tokens) - 1
            parts.append((sequence.cache, tokens))
        start = time.perf_counter()
        rows = self._decoder.step(parts)
        seconds = time.perf_counter() - start if len(sequences) == 1 else None
        for sequence, (_, tokens), logits in zip(sequences, parts, rows, strict=True):
            assert sequence.writing is not None  # noqa: S101
            sequence.writing.put(tokens, logits, seconds)

    def _end(self, sequence: Sequence, reason: FinishReason) -> None:
        sequence.events.append(self._finish(sequence, reason))
        sequence.ended = True
        self._leave(sequence)

    def _leave(self, sequence: Sequence) -> None:
        """Make room, and keep the prompt for later ones."""
        with contextlib.suppress(ValueError):
            self.running.remove(sequence)
        cache, prompt = sequence.cache, sequence.prompt
        if cache is None:
            return
        sequence.cache = None
        # An answer's positions were read in steps, a later prompt's are not.
        kept = min(cache.length, len(prompt.keys))
        nbytes = cache.length * self._per_token
        cache.crop(kept)
        room = self._limits.cache_bytes - self.reserved
        if kept and nbytes <= room:
            self.prefixes.put(Prefix(prompt.keys[:kept], cache, nbytes))
            self.prefixes.shrink(room)

    def _guarded(self, sequences: list[Sequence], work: Callable[[], None]) -> None:
        """Do work for sequences, which end with the error that it raises."""
        try:
            with reported_out_of_memory():
                work()
        except Exception as error:  # raised again where the answer is awaited
            for sequence in sequences:
                sequence.fail(error)
                self._leave(sequence)
