"""``LocalEngine``: requests to events on this machine's torch.

Design decisions:
- requests of several threads share the steps of one scheduler; where the decoder is batch
  invariant an answer has the same bits as alone, else each sequence steps for itself;
- the model takes a step when somebody waits for an event, so that an answer that nobody reads
  costs nothing. One caller steps it; for several it has a thread of its own, because torch keeps
  a pool of threads for each thread that calls it;
- the decode loop is in the scheduler and not in ``generate``, because streaming, grammar masks,
  loop detection and cancelling act on every token.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from deepseek_vl_v2.format.tags import DET_OPEN
from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import (
    Confidence,
    Event,
    Finished,
    FinishReason,
    PromptCost,
    Usage,
)
from dvl2_cli.engine.local.constraint import GrammarMask, GrammarTokens
from dvl2_cli.engine.local.features import FeatureCache
from dvl2_cli.engine.local.loading import LoadedModel
from dvl2_cli.engine.local.prompt import Prompt, build_prompt, context_overflow
from dvl2_cli.engine.local.scheduling.scheduler import Limits, Scheduler
from dvl2_cli.engine.local.scheduling.sequence import Sequence as Running
from dvl2_cli.engine.local.scheduling.writing import AnswerWriting
from dvl2_cli.engine.request import Request

_MAX_RUNNING, _MAX_WAITING = 32, 256
_SEVERAL = -1  # in place of a thread's number


class LocalEngine:
    """Implements ``Engine`` with a model in this process.

    Args:
        loaded: the model.
        info: what it is.
        limits: of the scheduler; None for 32 that run, 256 that wait, and the caches that were
            planned for.
    """

    def __init__(self, loaded: LoadedModel, info: ModelInfo, limits: Limits | None = None) -> None:
        self.info = info
        self._loaded = loaded
        self._grammar_tokens: GrammarTokens | None = None
        features = FeatureCache(loaded.model, loaded.processor)
        limits = limits or Limits(_MAX_RUNNING, _MAX_WAITING, loaded.cache_bytes)
        self._scheduler = Scheduler(loaded, features, limits, self._finish)
        # Guards what other threads do with the scheduler between two steps.
        self._changed = threading.Condition()
        self._stepping = False
        self._caller: int | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="model")

    def cost(self, request: Request) -> PromptCost:
        """Count the prompt's tokens without running the model."""
        return self._prompt(request, hashed=False).cost

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """Answer a request; see ``Engine.stream``."""
        sequence = self._sequence(request, cancel)
        try:
            self._submit(sequence)
            yield from self._events(sequence)
        finally:
            self._abandon(sequence)

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        """Answer several requests together; each answer is what it would be alone."""
        # What is read after a kept prefix may round otherwise than what is read whole.
        shares = self._loaded.decoder.batch_invariant
        sequences = [self._sequence(request, None, shares_prefix=shares) for request in requests]
        answers = []
        try:
            for sequence in sequences:
                self._submit(sequence, waits=True)
            for sequence in sequences:
                *_, last = self._events(sequence)
                assert isinstance(last, Finished)  # noqa: S101
                answers.append(last)
        finally:
            for sequence in sequences:
                self._abandon(sequence)
        return answers

    def close(self) -> None:
        """Drop the model."""
        self._worker.shutdown()
        del self._loaded, self._scheduler

    def _prompt(self, request: Request, *, hashed: bool = True) -> Prompt:
        return build_prompt(
            request,
            self._loaded.processor,
            self.info.context_length,
            policy=self._loaded.policy,
            hashed=hashed,
        )

    def _sequence(
        self, request: Request, cancel: threading.Event | None, *, shares_prefix: bool = True
    ) -> Running:
        prompt = self._prompt(request)
        if len(prompt.ids) >= self.info.context_length:
            raise context_overflow(prompt.cost)
        cancel = cancel or threading.Event()
        return Running(request, prompt, cancel, self._grammar(request), shares_prefix)

    def _submit(self, sequence: Running, *, waits: bool = False) -> None:
        """Let a sequence wait for its turn; ``waits`` for room in the queue, too."""
        with self._changed:
            while waits and self._scheduler.waiting.is_full:
                self._have_stepped()
            self._scheduler.waiting.push(sequence)

    def _events(self, sequence: Running) -> Iterator[Event]:
        while True:
            with self._changed:
                while not sequence.events and not sequence.ended:
                    self._have_stepped()
                event = sequence.events.popleft() if sequence.events else None
            if event is not None:
                yield event
            elif sequence.failure is not None:
                raise sequence.failure
            else:
                return

    def _have_stepped(self) -> None:
        """Have the scheduler step, or wait until it has; ``_changed`` is held once, and let go
        meanwhile.
        """
        if not self._stepping and self._is_only_caller():
            self._stepping = True
            self._changed.release()
            try:
                self._step()
            finally:
                self._changed.acquire()
            return
        if not self._stepping:
            self._worker.submit(self._step)
            self._stepping = True
        self._changed.wait()

    def _is_only_caller(self) -> bool:
        """Whether no other thread has asked before."""
        caller = threading.get_ident()
        if self._caller is None:
            self._caller = caller
        elif self._caller != caller:
            self._caller = _SEVERAL
        return self._caller == caller

    def _step(self) -> None:
        failure = None
        try:
            self._scheduler.step()
        except Exception as error:  # raised again where the answers are awaited
            failure = error
        finally:
            with self._changed:
                if failure is not None:
                    self._scheduler.fail_all(failure)
                self._scheduler.drop_abandoned()
                self._stepping = False
                self._changed.notify_all()

    def _abandon(self, sequence: Running) -> None:
        """Nobody takes the events of ``sequence`` any more."""
        with self._changed:
            sequence.abandoned = True
            # No waiting for a step: this may run in the thread of the model, as garbage.
            if not self._stepping:
                self._scheduler.drop_abandoned()

    def _grammar(self, request: Request) -> GrammarMask | None:
        if request.constraint is None:
            return None
        with self._changed:
            if self._grammar_tokens is None:
                vocabulary = self._loaded.model.config.language.vocab_size
                self._grammar_tokens = GrammarTokens(self._loaded.processor, vocabulary)
        return GrammarMask(request.constraint, self._grammar_tokens)

    def _finish(self, sequence: Running, reason: FinishReason) -> Finished:
        cost, writing = sequence.prompt.cost, sequence.writing
        now = time.perf_counter()
        if writing is None:
            usage = Usage(cost.prompt_tokens, cost.image_tokens, 0, now - sequence.started, 0.0)
            return Finished("", "", reason, usage, Confidence(None))
        usage = Usage(
            prompt_tokens=cost.prompt_tokens,
            image_tokens=cost.image_tokens,
            completion_tokens=len(writing.answer.ids),
            prefill_seconds=sequence.read - sequence.started,
            decode_seconds=now - sequence.read,
            running=sequence.most_running,
            cache_bytes=sequence.most_reserved,
        )
        answer = writing.answer
        return Finished(answer.text, answer.raw, reason, usage, self._confidence(sequence, writing))

    def _confidence(self, sequence: Running, writing: AnswerWriting) -> Confidence:
        answer = writing.answer
        features = [] if sequence.reading is None else sequence.reading.features
        if not features:
            return Confidence(answer.mean_probability, lines=answer.lines)
        statistics, low = self._loaded.statistics, self._loaded.policy.min_probability
        if low is None and statistics is not None:
            low = statistics.probability
        # The last digits of a box are anyone's guess, also where the box is right.
        low = None if DET_OPEN in answer.raw else low
        if statistics is None:
            return Confidence(answer.mean_probability, None, None, low, answer.lines)
        distances = [statistics.distance(item.pooled) for item in features]
        return Confidence(
            answer.mean_probability, max(distances), statistics.threshold, low, answer.lines
        )
