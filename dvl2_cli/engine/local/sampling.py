"""From logits to the next token, equal to transformers' logits processors."""

from __future__ import annotations

import torch
from torch import Tensor

from dvl2_cli.engine.request import Sampling


class Sampler:
    """Chooses tokens by a ``Sampling``; penalties cover prompt and answer, as upstream's tools."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._greedy = sampling.temperature == 0
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def choose(self, logits: Tensor, history: list[int]) -> int:
        """The next token id.

        Args:
            logits: [V] float32; impossible tokens are minus infinity.
            history: ids of prompt and answer so far.
        """
        scores = self.scores(logits, history)
        if self._greedy:
            return _highest(scores)
        probabilities = scores.softmax(-1).cpu()
        return int(torch.multinomial(probabilities, 1, generator=self._generator))

    def scores(self, logits: Tensor, history: list[int]) -> Tensor:
        """What the token is chosen by: [V], tokens that must not come at minus infinity."""
        sampling = self._sampling
        if sampling.repetition_penalty != 1.0:
            logits = _penalised(logits, history, sampling.repetition_penalty)
        if self._greedy:
            return logits
        if sampling.temperature != 1.0:
            logits = logits / sampling.temperature
        if sampling.top_k > 0:
            lowest = logits.topk(min(sampling.top_k, len(logits))).values[-1]
            logits = logits.masked_fill(logits < lowest, -torch.inf)
        return _nucleus(logits, sampling.top_p) if sampling.top_p < 1.0 else logits


def _penalised(logits: Tensor, history: list[int], penalty: float) -> Tensor:
    """Tokens of the history made less likely (CTRL, arXiv 1909.05858)."""
    ids = torch.tensor(history, dtype=torch.long, device=logits.device)
    seen = logits[ids]
    return logits.index_copy(0, ids, torch.where(seen < 0, seen * penalty, seen / penalty))


def _nucleus(logits: Tensor, share: float) -> Tensor:
    """Only the fewest tokens whose probabilities reach ``share`` (arXiv 1904.09751)."""
    ascending, order = logits.sort(descending=False)
    dropped = ascending.softmax(-1).cumsum(-1) <= 1 - share
    dropped[-1] = False
    return logits.masked_fill(torch.empty_like(dropped).scatter(0, order, dropped), -torch.inf)


def _highest(scores: Tensor) -> int:
    # On a CPU numpy's search is four times as fast as torch's, which takes 1 % of a step.
    return int(scores.numpy().argmax() if scores.device.type == "cpu" else scores.argmax())
