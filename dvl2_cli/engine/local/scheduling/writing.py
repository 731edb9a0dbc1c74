"""One answer as it is chosen, token by token, out of logits that come from elsewhere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepseek_vl_v2.prompting import PromptEncoder
from dvl2_cli.engine.events import FinishReason, Token
from dvl2_cli.engine.local.answer import Answer
from dvl2_cli.engine.local.constraint import GrammarMask
from dvl2_cli.engine.local.lookup import PromptLookup
from dvl2_cli.engine.local.prompt import Prompt
from dvl2_cli.engine.local.sampling import Sampler
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import ModelError


class AnswerWriting:
    """Sampling, grammar, drafts, loop guard and log-probabilities of one answer.

    Args:
        request: how to answer.
        prompt: what was read.
        processor: of the checkpoint.
        mask: of the request's grammar, or None.
        logits: [V] of what may follow the prompt.

    Attributes:
        answer: as far as it is written.
        logits: of the next token; None while the last one has to be read first.
        length: positions of the prompt and of the tokens that were chosen.
    """

    def __init__(
        self,
        request: Request,
        prompt: Prompt,
        processor: PromptEncoder,
        mask: GrammarMask | None,
        logits: Tensor,
    ) -> None:
        self.answer = Answer(
            processor, request.stop, loop_guard=request.loop_guard, max_lines=request.max_lines
        )
        self.logits: Tensor | None = logits
        self._end = processor.tokens.eos
        self._mask = mask
        self._sampler = Sampler(request.sampling)
        self._history = list(prompt.ids)
        room = prompt.cost.context_length - len(prompt.ids)
        self._left = min(request.sampling.max_new_tokens, room)
        self._lookup = PromptLookup(prompt.ids, len(prompt.ids) + self._left)

    @property
    def length(self) -> int:
        """See above."""
        return self._lookup.length

    def take(self) -> tuple[Token | None, FinishReason | None]:
        """Choose the next token from ``logits``; why the answer ends with or before it, or None.

        Raises:
            ModelError: the logits are not finite.
        """
        assert self.logits is not None  # noqa: S101
        if self._left == 0:
            return None, "length"
        _check_finite(self.logits)
        allowed = self._mask.apply(self.logits) if self._mask else self.logits
        token_id = self._sampler.choose(allowed, self._history)
        if token_id == self._end:
            return None, "stop"
        logprob = float(self.logits.log_softmax(-1)[token_id])
        token = Token(self.answer.add(token_id, logprob), token_id, logprob)
        self._left -= 1
        ended = self.answer.ended()
        if ended is None and self._mask:
            self._mask.accept(token_id)
            ended = "stop" if self._mask.finished else None
        if ended is None and self._left == 0:
            ended = "length"
        if ended is None:
            self._history.append(token_id)
            self.logits = self._lookup.take(token_id)
        return token, ended

    def next_tokens(self, room: int) -> list[int]:
        """What the decoder has to read: the last token, and at most ``room`` guesses after it."""
        return [self._history[-1], *(self._lookup.draft()[:room] if room > 0 else [])]

    def put(self, tokens: list[int], rows: Tensor, seconds: float | None) -> None:
        """Take the logits [T, V] after ``next_tokens``; see ``PromptLookup.put``."""
        self.logits = self._lookup.put(tokens[1:], rows, seconds)


def _check_finite(logits: Tensor) -> None:
    """Refuse logits [V] of which any is NaN or infinite: every token would then be a guess."""
    # One pass: what is not finite makes the sum so, too.
    if not math.isfinite(float(logits.sum(dtype=torch.float32))):
        raise ModelError(
            "the model computes numbers that are not finite: its weights are damaged, or too large "
            "for their type",
            "Fetch it again with dvl2 pull, or take another copy with --quant.",
        )
