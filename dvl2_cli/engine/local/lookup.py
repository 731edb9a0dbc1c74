"""Prompt-lookup decoding: text that repeats what was read or written is verified in bulk.

A draft is what followed the last earlier occurrence of the latest tokens (Saxena, "Prompt
Lookup Decoding", 2023). It is only a guess of what the sampler will choose: logits are used
when the guess was right and dropped when not, so answers do not change.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from torch import Tensor

from dvl2_cli.engine.local.decoder import Decoder

NGRAM = 4
MAX_DRAFTED = 7
# A draft token costs reading its experts. Drafts go on while this share of them is right.
MIN_ACCEPTED = 0.5
_SMOOTHING = 0.8
# Passes of either sort that are timed before the two are compared, and tokens without drafts
# between two tries, so that one slow moment does not end drafts for good.
MIN_TIMED = 3
TOKENS_BETWEEN_TRIES = 64


class PromptLookupDecoder:
    """Steps a decoder through an answer, several tokens at a time where it repeats.

    Args:
        decoder: holds the prompt; after ``close`` it holds the prompt and the tokens stepped.
        prompt: ids of the prompt, in which drafts are looked up too.
        context_length: positions that the decoder has; no draft reaches past them.
        clock: seconds; drafts stop where they are slower than single tokens in this run.
    """

    def __init__(
        self,
        decoder: Decoder,
        prompt: Sequence[int],
        context_length: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._decoder = decoder
        self._clock = clock
        # Seconds for each token: of single passes, and of drafts by the tokens they gave.
        self._single: deque[float] = deque(maxlen=16)
        self._drafted: deque[tuple[float, int]] = deque(maxlen=16)
        self._pause = 0
        self._context_length = context_length
        self._tokens: list[int] = []
        # Where the tokens after an n-gram's last occurrence start; the latest is not in yet.
        self._after: dict[tuple[int, ...], int] = {}
        for token in prompt:
            self._remember(token)
        self._ahead: deque[tuple[int, Tensor]] = deque()
        self._length = decoder.length
        self._accepted = 1.0

    def step(self, token_id: int) -> Tensor:
        """Read one token; float32 logits [V] of what may follow."""
        self._remember(token_id)
        self._length += 1
        if self._ahead:
            guess, logits = self._ahead.popleft()
            right = guess == token_id
            self._accepted = _SMOOTHING * self._accepted + (1 - _SMOOTHING) * right
            if right:
                seconds, tokens = self._drafted.pop()
                self._drafted.append((seconds, tokens + 1))
                return logits
            self._drop_ahead(self._length - 1)
        draft = self._draft()
        start = self._clock()
        rows = self._decoder.verify([token_id, *draft])
        seconds = self._clock() - start
        if draft:
            self._drafted.append((seconds, 1))
        else:
            self._single.append(seconds)
        self._ahead.extend(zip(draft, rows[1:], strict=True))
        return rows[0]

    def close(self) -> None:
        """Forget what was read ahead."""
        self._drop_ahead(self._length)

    def _drop_ahead(self, length: int) -> None:
        self._ahead.clear()
        self._decoder.crop(length)

    def _loses(self) -> bool:
        """Whether the drafts of this run took longer a token than single passes do."""
        if min(len(self._single), len(self._drafted)) < MIN_TIMED:
            return False
        # The middle of the single passes: one that was disturbed says nothing.
        single = sorted(self._single)[len(self._single) // 2]
        seconds = sum(item[0] for item in self._drafted)
        return seconds > single * sum(item[1] for item in self._drafted)

    def _draft(self) -> list[int]:
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
        most = min(MAX_DRAFTED, self._context_length - self._length)
        return [] if start is None else self._tokens[start : start + most]

    def _remember(self, token_id: int) -> None:
        if len(self._tokens) >= NGRAM:
            self._after[tuple(self._tokens[-NGRAM:])] = len(self._tokens)
        self._tokens.append(token_id)
