"""Prompt-lookup decoding: text that repeats what was read or written is verified in bulk.

A draft is what followed the last earlier occurrence of the latest tokens (Saxena, "Prompt
Lookup Decoding", 2023). It is only a guess of what the sampler will choose: logits are used
when the guess was right and dropped when not, so answers do not change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from torch import Tensor

from dvl2_cli.engine.local.decoder import Decoder

NGRAM = 4
MAX_DRAFTED = 7
# A draft token costs reading its experts. Drafts go on while this share of them is right.
MIN_ACCEPTED = 0.5
_SMOOTHING = 0.8


class PromptLookupDecoder:
    """Steps a decoder through an answer, several tokens at a time where it repeats.

    Args:
        decoder: holds the prompt; after ``close`` it holds the prompt and the tokens stepped.
        prompt: ids of the prompt, in which drafts are looked up too.
        context_length: positions that the decoder has; no draft reaches past them.
    """

    def __init__(self, decoder: Decoder, prompt: Sequence[int], context_length: int) -> None:
        self._decoder = decoder
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
                return logits
            self._drop_ahead(self._length - 1)
        draft = self._draft()
        rows = self._decoder.verify([token_id, *draft])
        self._ahead.extend(zip(draft, rows[1:], strict=True))
        return rows[0]

    def close(self) -> None:
        """Forget what was read ahead."""
        self._drop_ahead(self._length)

    def _drop_ahead(self, length: int) -> None:
        self._ahead.clear()
        self._decoder.crop(length)

    def _draft(self) -> list[int]:
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
