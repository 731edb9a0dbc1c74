"""Decoding as a user meets it: through the engine's own answer loop, logprobs and all.

Random weights fall into loops, which would meet the same few experts again and again and let
drafts be right; so every chosen token is drawn at random, by raising its logit.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor

from dvl2_cli.benchmarking.limits import ReadBandwidth
from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import Finished, Token, Usage
from dvl2_cli.engine.local.decoder import Decoder
from dvl2_cli.engine.local.engine import LocalEngine
from dvl2_cli.engine.local.loading import LoadedModel
from dvl2_cli.engine.request import Message, Request, Sampling

_ROUNDS = 3
_RAISED = 1e4


@dataclass(frozen=True, slots=True)
class Decoding:
    """Rates per second; ``outside`` is the share of an answer's time outside the kernels."""

    tokens: float
    bandwidth: float
    outside: float | None


class Answering:
    """A loaded model behind the product's engine.

    Args:
        loaded: its decoder is replaced by one that chooses at random, until ``close``.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._decoder = loaded.decoder
        loaded.decoder = _AtRandom(self._decoder, loaded.processor.tokens.eos)
        info = ModelInfo("bench", None, "", "cpu", loaded.context_length, False, "")
        self._engine = LocalEngine(loaded, info)
        self._timer = _KernelTimer(self._decoder)

    def close(self) -> None:
        """Give the decoder back as it was."""
        self._timer.close()
        self._loaded.decoder = self._decoder

    def first_token_seconds(self, seed: int) -> float:
        """From a picture of one tile and a short question to the answer's first token."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randint(0, 256, (384, 384, 3), generator=generator, dtype=torch.uint8)
        picture = Image.fromarray(noise.numpy())
        request = _request("What is in this picture?", 1, picture)
        start = time.perf_counter()
        for event in self._engine.stream(request):
            if isinstance(event, Token):
                return time.perf_counter() - start
        raise AssertionError("an answer without a token")

    def decode(self, tokens: int, read: int, reader: ReadBandwidth) -> Decoding:
        """Rounds of ``tokens`` tokens, each between two looks at the read bandwidth.

        Of several rounds the one with the middle ratio of the two is given; ``read`` is the
        bytes that a step reads.
        """
        rounds = []
        for _ in range(_ROUNDS + 1):
            before = reader.measure()
            self._timer.seconds = 0.0
            _, usage = self.answer(tokens)
            bandwidth = statistics.mean((before, reader.measure()))
            seconds = usage.decode_seconds
            outside = 1 - self._timer.seconds / seconds if self._timer.works else None
            rounds.append(Decoding(usage.completion_tokens / seconds, bandwidth, outside))
        # The first round met weights that no step had touched.
        rounds = sorted(rounds[1:], key=lambda item: item.tokens * read / item.bandwidth)
        return rounds[len(rounds) // 2]

    def answer(self, tokens: int) -> tuple[list[int], Usage]:
        """The ids of a greedy answer of ``tokens`` tokens, and what it took."""
        *events, finished = self._engine.stream(_request("Describe a picture.", tokens))
        assert isinstance(finished, Finished)  # noqa: S101
        return [event.token_id for event in events if isinstance(event, Token)], finished.usage


def _request(text: str, tokens: int, *pictures: Image.Image) -> Request:
    message = Message("user", text, pictures)
    return Request((message,), Sampling(max_new_tokens=tokens), loop_guard=False)


class _AtRandom:
    """A decoder after whose every step another token is likeliest."""

    def __init__(self, decoder: Decoder[Any], end: int) -> None:
        self._decoder = decoder
        self._end = end
        self._generator = random.Random(0)  # noqa: S311

    @property
    def batch_invariant(self) -> bool:
        return self._decoder.batch_invariant

    @property
    def cache_bytes_per_token(self) -> int:
        return self._decoder.cache_bytes_per_token

    def open(self, capacity: int) -> Any:
        return self._decoder.open(capacity)

    def prefill(self, cache: Any, inputs_embeds: Tensor) -> Tensor:
        return self._raised(self._decoder.prefill(cache, inputs_embeds)[None])[0]

    def step(self, parts: Sequence[tuple[Any, Sequence[int]]]) -> list[Tensor]:
        return [self._raised(logits) for logits in self._decoder.step(parts)]

    @torch.inference_mode()
    def _raised(self, logits: Tensor) -> Tensor:
        for row in logits:
            # Python's generator: a tensor of one number would take longer than the rest.
            row[self._generator.randrange(len(row))] = _RAISED
        logits[:, self._end] = -_RAISED
        return logits


class _KernelTimer:
    """Adds up the time that a native decoder spends inside its compiled step."""

    def __init__(self, decoder: Decoder[Any]) -> None:
        self.seconds = 0.0
        self._decoder = cast(Any, decoder)
        self._library = getattr(decoder, "_library", None)
        self.works = self._library is not None
        if self.works:
            self._decoder._library = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def close(self) -> None:
        if self.works:
            self._decoder._library = self._library

    def dvl2_decoder_step(self, *arguments: Any) -> int:
        """The library's function, timed."""
        start = time.perf_counter()
        status = self._library.dvl2_decoder_step(*arguments)  # type: ignore[union-attr]
        self.seconds += time.perf_counter() - start
        return int(status)
