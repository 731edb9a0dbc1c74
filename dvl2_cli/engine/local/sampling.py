"""From logits to the next token, with transformers' own logits processors."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.generation.logits_process import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from dvl2_cli.engine.request import Sampling


class Sampler:
    """Chooses tokens by a ``Sampling``; penalties cover prompt and answer, as upstream's tools."""

    def __init__(self, sampling: Sampling) -> None:
        self._greedy = sampling.temperature == 0
        self._penalised = sampling.repetition_penalty != 1.0
        self._processors = LogitsProcessorList()
        if self._penalised:
            self._processors.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
        if not self._greedy:
            self._add_warpers(sampling)
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def _add_warpers(self, sampling: Sampling) -> None:
        if sampling.temperature != 1.0:
            self._processors.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_k > 0:
            self._processors.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1.0:
            self._processors.append(TopPLogitsWarper(sampling.top_p))

    def choose(self, logits: Tensor, history: list[int]) -> int:
        """The next token id.

        Args:
            logits: [V] float32; impossible tokens are minus infinity.
            history: ids of prompt and answer so far.
        """
        scores = logits[None]
        if len(self._processors):
            ids = torch.tensor([history if self._penalised else []], dtype=torch.long)
            scores = self._processors(ids.to(scores.device), scores)  # type: ignore[arg-type]
        if self._greedy:
            return _highest(scores[0])
        probabilities = scores[0].softmax(-1).cpu()
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


def _highest(scores: Tensor) -> int:
    # On a CPU numpy's search is four times as fast as torch's, which takes 1 % of a step.
    return int(scores.numpy().argmax() if scores.device.type == "cpu" else scores.argmax())
