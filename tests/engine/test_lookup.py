"""Prompt lookup changes the number of forwards, never an answer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dvl2_cli.engine.local.lookup import MAX_DRAFTED, PromptLookupDecoder

VOCABULARY = 12


class HashDecoder:
    """Logits that depend on everything in the cache, so that a wrong cache shows."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self.cache = list(prompt)
        self.forwards = 0

    @property
    def length(self) -> int:
        return len(self.cache)

    def prefill(self, inputs_embeds: Tensor) -> Tensor:
        raise NotImplementedError

    def verify(self, token_ids: Sequence[int]) -> Tensor:
        self.forwards += 1
        rows = []
        for token in token_ids:
            self.cache.append(token)
            generator = torch.Generator().manual_seed(hash(tuple(self.cache)) % (2**31))
            rows.append(torch.rand(VOCABULARY, generator=generator))
        return torch.stack(rows)

    def crop(self, length: int) -> None:
        del self.cache[length:]


tokens = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=40)


@given(tokens, tokens, tokens)
def test_logits_are_those_of_single_steps(
    prompt: list[int], block: list[int], tail: list[int]
) -> None:
    answer = block + block + block + tail
    plain, drafted = HashDecoder(prompt), HashDecoder(prompt)
    reader = PromptLookupDecoder(drafted, prompt, 4096)
    for token in answer:
        assert torch.equal(reader.step(token), plain.verify([token])[0])
    reader.close()
    assert drafted.cache == plain.cache
    assert drafted.forwards <= plain.forwards


def test_repetition_takes_fewer_forwards() -> None:
    block = list(range(VOCABULARY))
    decoder = HashDecoder(block)
    # A clock that stands still: whether drafts gain time is another test.
    reader = PromptLookupDecoder(decoder, block, 4096, clock=lambda: 0.0)
    for token in block * 10:
        reader.step(token)
    assert decoder.forwards < 120 / MAX_DRAFTED + 10


def test_no_draft_reaches_past_the_context() -> None:
    block = list(range(VOCABULARY))
    decoder, context_length = HashDecoder(block), 50
    reader = PromptLookupDecoder(decoder, block, context_length)
    for token in (block * 4)[: context_length - VOCABULARY]:
        reader.step(token)
        assert decoder.length <= context_length
    assert decoder.length == context_length


class SlowDecoder(HashDecoder):
    """Every pass takes a second, and ``extra`` more for each token beyond the first."""

    def __init__(self, prompt: Sequence[int], extra: float) -> None:
        super().__init__(prompt)
        self.now, self.extra = 0.0, extra
        self.read = 0

    def verify(self, token_ids: Sequence[int]) -> Tensor:
        self.now += 1.0 + self.extra * (len(token_ids) - 1)
        self.read += len(token_ids)
        return super().verify(token_ids)


def seconds_for_table(extra: float, answer: Sequence[int]) -> tuple[float, int]:
    decoder = SlowDecoder([], extra)
    reader = PromptLookupDecoder(decoder, [], 4096, clock=lambda: decoder.now)
    for token in answer:
        reader.step(token)
    return decoder.now, decoder.read


def test_drafts_stop_where_they_are_slower() -> None:
    # A part repeats, then something new breaks every draft after its first tokens.
    answer = [token for i in range(60) for token in (0, 1, 2, 3, 4, 5, 6 + i % 5)]
    slow, _ = seconds_for_table(1.0, answer)
    # Always drafting costs the tokens of every wrong draft: far more than one second a token.
    assert slow < 1.15 * len(answer)
    fast, _ = seconds_for_table(0.01, answer)
    assert fast < 0.6 * len(answer)
