"""``LocalEngine``: requests to events on this machine's torch.

Design decisions:
- one KV cache, kept between requests: what a prompt shares with the one before is not read
  again, so chat turns and several questions about a picture cost only what is new;
- the decode loop is here and not in ``generate``, because streaming, grammar masks, loop
  detection and cancelling act on every token;
- answers of a batch are computed one after the other, which makes each of them equal to the
  answer it would get alone: on a CPU rounding depends on the batch size.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from deepseek_vl_v2.format.tags import DET_OPEN
from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import (
    Confidence,
    Event,
    Finished,
    FinishReason,
    PromptCost,
    Started,
    Token,
    Usage,
)
from dvl2_cli.engine.local.answer import Answer
from dvl2_cli.engine.local.constraint import GrammarMask, GrammarTokens
from dvl2_cli.engine.local.features import FeatureCache
from dvl2_cli.engine.local.loading import LoadedModel
from dvl2_cli.engine.local.lookup import PromptLookupDecoder
from dvl2_cli.engine.local.memory import reported_out_of_memory
from dvl2_cli.engine.local.prompt import Prompt, build_prompt, common_prefix, context_overflow
from dvl2_cli.engine.local.sampling import Sampler
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import ModelError

# Fewer tokens than these are read anew: it costs nothing, and then the answer about a picture
# does not depend, not even in its rounding, on which other picture came before.
_MIN_REUSED = 16


class LocalEngine:
    """Implements ``Engine`` with a model in this process."""

    def __init__(self, loaded: LoadedModel, info: ModelInfo) -> None:
        self.info = info
        self._loaded = loaded
        self._features = FeatureCache(loaded.model, loaded.processor)
        self._cached: list[object] = []
        self._grammar_tokens: GrammarTokens | None = None

    def cost(self, request: Request) -> PromptCost:
        """Count the prompt's tokens without running the model."""
        return self._prompt(request, hashed=False).cost

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """Answer a request; see ``Engine.stream``."""
        prompt = self._prompt(request)
        if len(prompt.ids) >= self.info.context_length:
            raise context_overflow(prompt.cost)
        with reported_out_of_memory():
            yield from self._run(request, prompt, cancel or threading.Event())

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        """Answer several requests, each as if alone."""
        answers = []
        for request in requests:
            # What is read after a kept prefix rounds otherwise than what is read whole.
            self._cached = []
            *_, last = self.stream(request)
            assert isinstance(last, Finished)  # noqa: S101
            answers.append(last)
        return answers

    def close(self) -> None:
        """Drop the model."""
        del self._loaded, self._features

    def _prompt(self, request: Request, *, hashed: bool = True) -> Prompt:
        return build_prompt(
            request,
            self._loaded.processor,
            self.info.context_length,
            policy=self._loaded.policy,
            hashed=hashed,
        )

    def _run(self, request: Request, prompt: Prompt, cancel: threading.Event) -> Iterator[Event]:
        reused = min(common_prefix(self._cached, prompt.keys), len(prompt.keys) - 1)
        if reused < _MIN_REUSED:
            reused = 0
        yield Started(prompt.cost, reused)
        started = time.perf_counter()
        logits = self._read_prompt(prompt, reused)
        prefilled = time.perf_counter()
        answer = Answer(
            self._loaded.processor,
            request.stop,
            loop_guard=request.loop_guard,
            max_lines=request.max_lines,
        )
        reason: FinishReason = "length"
        for piece in self._write(request, prompt, logits, answer, cancel):
            if isinstance(piece, Token):
                yield piece
            else:
                reason = piece
        usage = Usage(
            prompt_tokens=prompt.cost.prompt_tokens,
            image_tokens=prompt.cost.image_tokens,
            completion_tokens=len(answer.ids),
            prefill_seconds=prefilled - started,
            decode_seconds=time.perf_counter() - prefilled,
        )
        confidence = self._confidence(prompt, answer)
        yield Finished(answer.text, answer.raw, reason, usage, confidence)

    def _read_prompt(self, prompt: Prompt, reused: int) -> Tensor:
        decoder = self._loaded.decoder
        # Until the prefill is through, the cache matches nothing that could be reused.
        self._cached = []
        decoder.crop(reused)
        logits = decoder.prefill(self._embed(prompt, reused))
        self._cached = list(prompt.keys)
        return logits

    @torch.inference_mode()
    def _embed(self, prompt: Prompt, start: int) -> Tensor:
        model = self._loaded.model
        features = [
            self._features.get(picture, key)[0]
            for picture, key in zip(prompt.pictures, prompt.feature_keys, strict=True)
        ]
        ids = torch.tensor([prompt.ids], device=model.device)
        mask = torch.tensor([prompt.image_mask], device=model.device)
        return model.embed(ids, features, mask)[:, start:]

    def _write(
        self,
        request: Request,
        prompt: Prompt,
        logits: Tensor,
        answer: Answer,
        cancel: threading.Event,
    ) -> Iterator[Token | FinishReason]:
        """Tokens one by one, then why the answer ended."""
        reader = PromptLookupDecoder(self._loaded.decoder, prompt.ids, self.info.context_length)
        try:
            yield from self._write_with(reader, request, prompt, logits, answer, cancel)
        finally:
            reader.close()

    def _write_with(
        self,
        reader: PromptLookupDecoder,
        request: Request,
        prompt: Prompt,
        logits: Tensor,
        answer: Answer,
        cancel: threading.Event,
    ) -> Iterator[Token | FinishReason]:
        sampler = Sampler(request.sampling)
        mask = self._grammar(request)
        room = self.info.context_length - len(prompt.ids)
        history = list(prompt.ids)
        for _ in range(min(request.sampling.max_new_tokens, room)):
            if cancel.is_set():
                yield "cancelled"
                return
            _check_finite(logits)
            allowed = mask.apply(logits) if mask else logits
            token_id = sampler.choose(allowed, history)
            if token_id == self._loaded.processor.tokens.eos:
                yield "stop"
                return
            logprob = float(logits.log_softmax(-1)[token_id])
            yield Token(answer.add(token_id, logprob), token_id, logprob)
            if (ended := answer.ended()) is not None:
                yield ended
                return
            if mask:
                mask.accept(token_id)
                if mask.finished:
                    yield "stop"
                    return
            history.append(token_id)
            logits = reader.step(token_id)
            self._cached.append(token_id)
        yield "length"

    def _grammar(self, request: Request) -> GrammarMask | None:
        if request.constraint is None:
            return None
        if self._grammar_tokens is None:
            vocabulary = self._loaded.model.config.language.vocab_size
            self._grammar_tokens = GrammarTokens(self._loaded.processor, vocabulary)
        return GrammarMask(request.constraint, self._grammar_tokens)

    def _confidence(self, prompt: Prompt, answer: Answer) -> Confidence:
        if not prompt.pictures:
            return Confidence(answer.mean_probability, lines=answer.lines)
        statistics, low = self._loaded.statistics, self._loaded.policy.min_probability
        if low is None and statistics is not None:
            low = statistics.probability
        # The last digits of a box are anyone's guess, also where the box is right.
        low = None if DET_OPEN in answer.raw else low
        if statistics is None:
            return Confidence(answer.mean_probability, None, None, low, answer.lines)
        distances = [
            statistics.distance(self._features.get(picture, key)[1])
            for picture, key in zip(prompt.pictures, prompt.feature_keys, strict=True)
        ]
        return Confidence(
            answer.mean_probability, max(distances), statistics.threshold, low, answer.lines
        )


def _check_finite(logits: Tensor) -> None:
    """Refuse logits [V] of which any is NaN or infinite: every token would then be a guess."""
    # One pass: what is not finite makes the sum so, too.
    if not math.isfinite(float(logits.sum(dtype=torch.float32))):
        raise ModelError(
            "the model computes numbers that are not finite: its weights are damaged, or too large "
            "for their type",
            "Fetch it again with dvl2 pull, or take another copy with --quant.",
        )
