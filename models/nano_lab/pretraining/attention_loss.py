"""The loss of supervised attention heads: the cross-entropy of where they look."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nano_lab.pretraining.batch import PretrainingBatch
from nano_lab.pretraining.glyph_labels import THUMBNAIL_TOKENS

# So many tokens of a row are supervised at most: pages have more than are needed to learn from.
MAX_SUPERVISED_TOKENS = 768


@dataclass(frozen=True, slots=True)
class AttentionTargets:
    """Where supervised heads of some tokens should look.

    Attributes:
        positions: int64 [B, M], the tokens that are supervised, -1 where a row has fewer.
        mask: float32 [B, 1, M, T], 0 where attention is allowed, the dtype's minimum elsewhere.
        wanted: bool [B, 1, M, T], True where it should look.
        listed: int64 [B, 1, M, K], the same as positions.
        list_mask: float32 [B, 1, M, K], what to add to the scores of those that fill the list.
        share: of all tokens with a target, those that are supervised.
    """

    positions: Tensor
    mask: Tensor
    wanted: Tensor
    listed: Tensor
    list_mask: Tensor
    share: Tensor


def targets_of(
    batch: PretrainingBatch, aims_at: Tensor, spoken: Tensor, twins: Tensor
) -> AttentionTargets:
    """Targets of every row, from the positions to look at, ``aims_at`` [B, T - 1].

    A token that speaks of an object may look at any cell of it, and where the thumbnail shows
    the same (``twins`` [B, T]) it may look there. ``spoken`` [B, T - 1] are the tokens that the
    positions belong to.
    """
    positions = supervised_positions(aims_at)
    columns = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    visible = columns <= positions[..., None]
    if batch.branches is not None:
        own = batch.branches
        visible &= (own[:, None] == gathered(own, positions)[..., None]) | (own == 0)[:, None]
    aims = gathered(aims_at, positions)
    wanted = columns == aims[..., None]
    twin = gathered(twins, aims) > 0
    wanted |= (columns == aims[..., None] - THUMBNAIL_TOKENS) & twin[..., None]
    if batch.objects is not None:
        of = gathered(batch.objects.of, gathered(spoken, positions))[..., None]
        wanted |= batch.objects.areas[of[..., 0].clamp(min=0)] & (of >= 0)
    # Fillers look at the first position, and are not counted.
    filler = (positions < 0)[..., None]
    visible, wanted = visible | filler, torch.where(filler, columns == 0, wanted)
    # There may be no target at all where only counts are asked for.
    share = (positions >= 0).sum().clamp(min=1) / (aims_at >= 0).sum().clamp(min=1)
    listed, list_mask = _listed(wanted)
    return AttentionTargets(
        positions,
        _additive(visible)[:, None],
        wanted[:, None],
        listed[:, None],
        list_mask[:, None],
        share,
    )


def supervised_positions(aims_at: Tensor) -> Tensor:
    """Where ``aims_at`` [B, S] is known: [B, M], filled with -1.

    Every second, third and so on where a row has more than MAX_SUPERVISED_TOKENS of them.
    """
    known = aims_at >= 0
    order = known.cumsum(1) - 1
    most = int(known.sum(1).max())
    step = max(1, -(-most // MAX_SUPERVISED_TOKENS))
    kept = known & (order % step == 0)
    row, place = kept.nonzero(as_tuple=True)
    positions = aims_at.new_full((len(aims_at), -(-most // step)), -1)
    positions[row, order[row, place] // step] = place
    return positions


def _additive(allowed: Tensor) -> Tensor:
    lowest = torch.finfo(torch.float32).min
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, lowest)


def _listed(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The few positions that are wanted, and what to add to the scores of the fillers."""
    most = max(1, int(wanted.sum(-1).max())) if wanted.numel() else 1
    kept, positions = wanted.to(torch.uint8).topk(most, dim=-1)
    return positions, _additive(kept.bool())


def attention_loss(query: Tensor, key: Tensor, targets: AttentionTargets) -> tuple[Tensor, Tensor]:
    """Loss and hits [heads], summed over supervised tokens, of queries and keys [B, heads, T, D].

    The loss is the cross-entropy of a head's own attention against its targets.
    """
    counted = (targets.positions >= 0)[:, None]
    supervised = query.take_along_dim(targets.positions.clamp(min=0)[:, None, :, None], 2)
    scores = (supervised @ key.mT).float() + targets.mask
    wanted = scores.take_along_dim(targets.listed, 3) + targets.list_mask
    losses = (scores.logsumexp(-1) - wanted.logsumexp(-1)) * counted
    best = scores.detach().argmax(-1, keepdim=True)
    hits = targets.wanted.take_along_dim(best, 3)[..., 0] & counted
    return losses.sum((0, 2)) / targets.share, hits.sum((0, 2)) / targets.share


def last_known(values: Tensor, labels: Tensor) -> Tensor:
    """For every answer token its own place, or else the last one before it in the same answer,
    that has a value.

    Args:
        values: int64 [B, T], -1 where unknown.
        labels: int64 [B, T], -100 outside of answers.

    Returns:
        int64 [B, T], -1 where there is none.
    """
    place = torch.arange(values.shape[1], device=values.device).expand_as(values)
    latest = torch.where(values >= 0, place, -1).cummax(1).values
    outside = torch.where(labels == -100, place, -1).cummax(1).values
    return torch.where(latest > outside, latest, -1)


def gathered(values: Tensor, places: Tensor) -> Tensor:
    """``values`` [B, T] at ``places`` [B, S] of the same row; -1 where the place is."""
    return torch.where(places >= 0, values.gather(1, places.clamp(min=0)), -1)
