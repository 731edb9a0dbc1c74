"""Prompt-lookup decoding: text that repeats what was read or written is verified in bulk.

A draft is what followed the last earlier occurrence of the latest tokens (Saxena, "Prompt
Lookup Decoding", 2023). It is only a guess of what the sampler will choose: logits are used
when the guess was right and dropped when not, so answers do not change.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

NGRAM = 4
MAX_DRAFTED = 7
# A draft token costs reading its experts. Drafts go on while this share of them is right.
MIN_ACCEPTED = 0.5
_SMOOTHING = 0.8
# Passes of either sort that are timed before the two are compared, and tokens without drafts
# between two tries, so that one slow moment does not end drafts for good.
MIN_TIMED = 3
TOKENS_BETWEEN_TRIES = 64


class PromptLookup:
    """Drafts for one answer, and the logits that were read ahead of it.

    Args:
        prompt: ids of the prompt, in which drafts are looked up too.
        context_length: positions that the cache has; no draft reaches past them.

    Attributes:
        length: positions of the prompt and of the tokens taken.
    """

    def __init__(self, prompt: Sequence[int], context_length: int) -> None:
        self.length = len(prompt)
        self._context_length = context_length
        # Seconds for each token: of single passes, and of drafts by the tokens they gave.
        self._single: deque[float] = deque(maxlen=16)
        self._drafted: deque[tuple[float, int]] = deque(maxlen=16)
        self._pause = 0
        self._tokens: list[int] = []
        # Where the tokens after an n-gram's last occurrence start; the latest is not in yet.
        self._after: dict[tuple[int, ...], int] = {}
        for token in prompt:
            self._remember(token)
        self._ahead: deque[tuple[int, Tensor]] = deque()
        self._ahead_is_timed = False
        self._accepted = 1.0

    def take(self, token_id: int) -> Tensor | None:
        """Note the token that was chosen; logits [V] after it where a draft guessed it.

        None where the decoder has to read it: the cache holds nothing right after ``length - 1``.
        """
        self._remember(token_id)
        self.length += 1
        if not self._ahead:
            return None
        guess, logits = self._ahead.popleft()
        right = guess == token_id
        self._accepted = _SMOOTHING * self._accepted + (1 - _SMOOTHING) * right
        if not right:
            self._ahead.clear()
            return None
        if self._ahead_is_timed:
            seconds, tokens = self._drafted.pop()
            self._drafted.append((seconds, tokens + 1))
        return logits

    def draft(self) -> list[int]:
        """Guesses of what follows the token taken last; empty where none is worth its cost."""
        if self._pause:
            self._pause -= 1
            return []
        if self._loses():
            self._drafted.clear()
            self._pause = TOKENS_BETWEEN_TRIES
            return []
        if self._accepted < MIN_ACCEPTED:
            # Forgiven slowly, so that a table after prose is tried again.
            self._accepted += 0.01
            return []
        start = self._after.get(tuple(self._tokens[-NGRAM:]))
        most = min(MAX_DRAFTED, self._context_length - self.length)
        return [] if start is None else self._tokens[start : start + most]

    def put(self, draft: Sequence[int], rows: Tensor, seconds: float | None) -> Tensor:
        """Take the logits [1 + drafted, V] after the last token and its draft; the first row.

        ``seconds`` is what the pass took; None where it says nothing, as other sequences were
        in it.
        """
        self._ahead.extend(zip(draft, rows[1:], strict=True))
        self._ahead_is_timed = seconds is not None and len(draft) > 0
        if seconds is not None and draft:
            self._drafted.append((seconds, 1))
        elif seconds is not None:
            self._single.append(seconds)
        return rows[0]

    def drop(self) -> None:
        """Forget what was read ahead."""
        self._ahead.clear()

    def _loses(self) -> bool:
        """Whether the drafts of this run took longer a token than single passes do."""
        if min(len(self._single), len(self._drafted)) < MIN_TIMED:
            return False
        # The middle of the single passes: one that was disturbed says nothing.
        single = sorted(self._single)[len(self._single) // 2]
        seconds = sum(item[0] for item in self._drafted)
        return seconds > single * sum(item[1] for item in self._drafted)

    def _remember(self, token_id: int) -> None:
        if len(self._tokens) >= NGRAM:
            self._after[tuple(self._tokens[-NGRAM:])] = len(self._tokens)
        self._tokens.append(token_id)


class Rewindable(Protocol):
    """A sequence that reads several tokens at once, and can go back."""

    @property
    def length(self) -> int:
        """Tokens in the cache."""

    def verify(self, token_ids: Sequence[int]) -> Tensor:
        """Read tokens; float32 logits [T, V] of what may follow each."""

    def crop(self, length: int) -> None:
        """Forget everything from position ``length`` on."""


class PromptLookupDecoder:
    """Steps one sequence through an answer, several tokens at a time where it repeats.

    Args:
        decoder: holds the prompt; after ``close`` it holds the prompt and the tokens stepped.
        prompt: ids of the prompt, in which drafts are looked up too.
        context_length: positions that the decoder has; no draft reaches past them.
        clock: seconds; drafts stop where they are slower than single tokens in this run.
    """

    def __init__(
        self,
        decoder: Rewindable,
        prompt: Sequence[int],
        context_length: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._decoder = decoder
        self._clock = clock
        self._lookup = PromptLookup(prompt, context_length)

    def step(self, token_id: int) -> Tensor:
        """Read one token; float32 logits [V] of what may follow."""
        known = self._lookup.take(token_id)
        if known is not None:
            return known
        self._decoder.crop(self._lookup.length - 1)
        draft = self._lookup.draft()
        start = self._clock()
        rows = self._decoder.verify([token_id, *draft])
        return self._lookup.put(draft, rows, self._clock() - start)

    def close(self) -> None:
        """Forget what was read ahead."""
        self._lookup.drop()
        self._decoder.crop(self._lookup.length)
