"""Guided attention: heads of the decoder are supervised to look where the text is read.

The cross-entropy is taken of the heads' own attention, over all positions before a token, so
that what is learned is what the decoder reads with (guided attention, arXiv 1710.08969, with
known targets). The first layers learn to find the token that was written last, the others the one
to come. Without it the decoder needs many times the steps to find the lines. Small heads also name
the cell, the bin of the glyph within it, and the tokens before; they are dropped after training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.network import Losses
from nano_lab.pretraining.attention_capture import AttentionCapture
from nano_lab.pretraining.attention_loss import (
    AttentionTargets,
    attention_loss,
    gathered,
    last_known,
    targets_of,
)
from nano_lab.pretraining.batch import PretrainingBatch
from nano_lab.pretraining.counting_targets import counting_loss
from nano_lab.pretraining.layout import spread, twins
from nano_lab.pretraining.reading_heads import ReadingHeads


@dataclass(frozen=True, slots=True)
class SupervisedHeads:
    """The supervised heads of a layer, counted from the last (1).

    The first ``now`` heads look for the token written last, the next ``next`` heads for the one to
    come; ``counts``: the last head counts (see counting_targets).
    """

    layer: int
    now: int
    next: int
    counts: bool = False


# The last layer needs room for all glyphs of a cell.
SUPERVISED = (
    SupervisedHeads(5, 1, 0),
    SupervisedHeads(4, 1, 1),
    SupervisedHeads(3, 0, 1, counts=True),
    SupervisedHeads(2, 0, 1, counts=True),
    SupervisedHeads(1, 0, 3),
)
# The layer whose hits are shown, and those whose inputs should know the places.
SHOWN_LAYER = 2
KNOWS_NOW, KNOWS_NEXT = 3, 1
# Of what the next token's object is, and of the tokens before, beside where they are.
OBJECT_WEIGHT, RECENT_WEIGHT = 0.2, 0.3


def check_heads(model: DeepseekVLV2ForCausalLM) -> None:
    """Refuse a decoder whose attention cannot be supervised.

    Raises:
        UsageError: it has no latent attention, or too few layers or heads.
    """
    config = model.config.language
    heads = max(heads.now + heads.next + heads.counts for heads in SUPERVISED)
    enough = config.num_hidden_layers >= KNOWS_NOW and config.num_attention_heads >= heads
    if not config.use_mla or not enough:
        raise UsageError(
            "guided_attention_loss needs latent attention, three layers and three heads"
        )


class GuidedAttention:
    """The guided-attention and counting losses of ``model``.

    Attributes:
        capture: of the queries and keys of supervised layers; enable it before a pass.
    """

    def __init__(self, model: DeepseekVLV2ForCausalLM, heads: ReadingHeads) -> None:
        layers = model.config.language.num_hidden_layers
        self.layers, self.heads = layers, heads
        self.image_id = cast(int, model.config.image_token_id)
        # The first layer has seen no context yet.
        self.supervised = [heads for heads in SUPERVISED if layers - heads.layer >= 1]
        self.capture = AttentionCapture(model, [layers - h.layer for h in self.supervised])

    def add_losses(
        self, losses: Losses, hidden: tuple[Tensor, ...], batch: PretrainingBatch
    ) -> None:
        """Add where the heads look, and how they count, in the pass just made.

        Args:
            losses: what is added to.
            hidden: the inputs [B, T, H] of every layer, and the final states.
            batch: with ``attention_targets``.
        """
        aims = batch.attention_targets
        assert aims is not None  # noqa: S101
        latest = last_known(aims, batch.labels)
        written = gathered(aims, latest)[:, :-1]
        same = spread(twins(batch.shown).long(), batch.ids, self.image_id) > 0
        now = targets_of(batch, written, latest[:, :-1], same)
        following = targets_of(batch, aims[:, 1:], _positions(batch)[:, 1:], same)
        looking, hits, counting = self._attention(now, following, batch)
        loss = looking + self._heads(hidden, batch, latest, written)
        losses.sums["guided_attention"] = loss
        losses.right["guided_attention"] = hits, (aims[:, 1:] >= 0).sum()
        if counting:
            losses.sums["counting"] = torch.stack([part for part, _ in counting]).mean()
            right = counting[-1][1]
            losses.right["counting"] = right, right.new_tensor(_counted(batch))

    def _attention(
        self, now: AttentionTargets, following: AttentionTargets, batch: PretrainingBatch
    ) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """The mean loss of all heads, hits of SHOWN_LAYER, and what counting heads made."""
        losses, right = [], batch.ids.new_zeros(())
        counting: list[tuple[Tensor, Tensor]] = []
        for heads in self.supervised:
            query, key = self.capture.take(self.layers - heads.layer)
            if heads.counts and batch.counting is not None:
                head = query[:, -1], key[:, -1]
                counting.append(counting_loss(*head, batch.counting, batch.branches))
            end = heads.now + heads.next
            for targets, first, last in ((now, 0, heads.now), (following, heads.now, end)):
                if first < last:
                    loss, hits = attention_loss(query[:, first:last], key[:, first:last], targets)
                    losses.append(loss)
            if heads.layer == SHOWN_LAYER:
                right = hits[0]
        return torch.cat(losses).mean(), right, counting

    def _heads(
        self, hidden: tuple[Tensor, ...], batch: PretrainingBatch, latest: Tensor, written: Tensor
    ) -> Tensor:
        """What the states tell of places, tokens and objects."""
        assert batch.attention_targets is not None  # noqa: S101
        assert batch.cell_places is not None  # noqa: S101
        before, last = hidden[self.layers - KNOWS_NOW], hidden[self.layers - KNOWS_NEXT]
        cells = spread(batch.cell_places, batch.ids, self.image_id)
        bins = batch.glyph_bins
        latest_bins = None if bins is None else gathered(bins, latest)[:, :-1]
        loss = self.heads.now.loss(before[:, :-1], gathered(cells, written), latest_bins)
        coming = gathered(cells, batch.attention_targets[:, 1:])
        next_bins = None if bins is None else bins[:, 1:]
        loss = loss + self.heads.next.loss(last[:, :-1], coming, next_bins)
        recent = self.heads.recent.loss(hidden[1], batch.ids, batch.labels)
        loss = loss + RECENT_WEIGHT * recent
        if batch.objects is None:
            return loss
        spoken = batch.objects.of[:, 1:]
        known = spoken >= 0
        facts = batch.objects.facts[spoken[known]]
        found = self.heads.object.loss(last[:, :-1][known], facts, batch.held_out_pairs)
        return loss + OBJECT_WEIGHT * found


def _positions(batch: PretrainingBatch) -> Tensor:
    return torch.arange(batch.ids.shape[1], device=batch.ids.device).expand_as(batch.ids)


def _counted(batch: PretrainingBatch) -> int:
    return 0 if batch.counting is None else len(batch.counting.rows)
