"""The reading finger: attention heads of the decoder, taught to look where the text is read.

The cross-entropy is taken of the heads' own attention, over all positions before a token, so
that what is learned is what the decoder reads with (guided attention, arXiv 1710.08969, with
known targets). The first layers are taught to find the token that was written last, the
others the one to come. Left alone the decoder needs many times the steps to find the lines.
Small heads also name the cell, the bin of the glyph within it, and the tokens before; they are
dropped after training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.attention import MultiHeadLatentAttention
from deepseek_vl_v2.decoder import DecoderLayer
from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.layout import spread, twins
from nano_lab.pretraining.counting_targets import tally_loss
from nano_lab.pretraining.glyph_labels import BINS, THUMBNAIL_TOKENS
from nano_lab.pretraining.heads import PlaceHead
from nano_lab.pretraining.object_head import ObjectHead


@dataclass(frozen=True, slots=True)
class Fingers:
    """The fingers of a layer, counted from the last (1): heads for the token ``now``, then
    heads for the ``next`` one; and whether the last head counts (see tallies).
    """

    layer: int
    now: int
    next: int
    counts: bool = False


# The last layer needs room for all glyphs of a cell.
FINGERS = (
    Fingers(5, 1, 0),
    Fingers(4, 1, 1),
    Fingers(3, 0, 1, counts=True),
    Fingers(2, 0, 1, counts=True),
    Fingers(1, 0, 3),
)
# The layer whose hits are shown, and those whose inputs should know the places.
SHOWN = 2
KNOWS_NOW, KNOWS_NEXT = 3, 1
# So many tokens of a row point at most: pages have more than are needed to learn from.
MOST = 768
# Of what the next token's object is, beside where it is.
OBJECT_WEIGHT = 0.2
# The tokens before its own that a text token should hold after the first layer: what was written
# last is found by them.
RECENT = 4
RECENT_WEIGHT = 0.3
# Of the cell, beside its bin.
PLACE_WEIGHT = 0.3


def check_finger(model: DeepseekVLV2ForCausalLM) -> None:
    """Refuse a decoder that cannot be taught to point.

    Raises:
        UsageError: it has no latent attention, or too few layers or heads.
    """
    config = model.config.language
    heads = max(fingers.now + fingers.next + fingers.counts for fingers in FINGERS)
    enough = config.num_hidden_layers >= KNOWS_NOW and config.num_attention_heads >= heads
    if not config.use_mla or not enough:
        raise UsageError("pointer_loss needs latent attention, three layers and three heads")


def watch(model: DeepseekVLV2ForCausalLM, *, wanted: bool) -> None:
    """Have the layers with fingers keep the queries and keys of their next pass, or not."""
    layers = model.config.language.num_hidden_layers
    for fingers in FINGERS:
        if layers - fingers.layer >= 1:
            _attention(model, layers - fingers.layer).watched = wanted


class GlyphHead(nn.Module):
    """States [..., H] -> where a glyph is: the cell in its tile, the bin in the cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.bins = nn.Linear(width, BINS)
        self.place = PlaceHead(width, framed=True)

    def loss(self, states: Tensor, cells: Tensor, bins: Tensor | None) -> Tensor:
        """Summed cross-entropy against ``cells`` and ``bins`` [...], without those of -1."""
        loss = PLACE_WEIGHT * self.place.loss(states, cells)[0]
        if bins is None:
            return loss
        logits: Tensor = self.bins(self.norm(states))
        return loss + functional.cross_entropy(
            logits.flatten(0, -2).float(), bins.flatten(), ignore_index=-1, reduction="sum"
        )


class RecentHead(nn.Module):
    """States [B, T, H] -> the RECENT tokens before each."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.tokens = nn.Linear(width, RECENT * vocabulary)

    def loss(self, states: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over tokens, the mean of those before, in answers only."""
        whole = labels.unfold(1, RECENT + 1, 1).ne(-100).all(-1)
        wanted = ids.unfold(1, RECENT + 1, 1)[whole][:, :-1]
        logits = self.tokens(self.norm(states[:, RECENT:][whole])).float()
        logits = logits.unflatten(-1, (RECENT, -1))
        loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum")
        return loss / RECENT


class ReadingHeads(nn.Module):
    """What the decoder should know: the tokens written last, where the glyph written last and the
    one to come are, and the object that the next token speaks of.
    """

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.recent = RecentHead(width, vocabulary)
        self.now, self.next = GlyphHead(width), GlyphHead(width)
        self.object = ObjectHead(width)


@dataclass(frozen=True, slots=True)
class Pointed:
    """The summed loss of where the fingers point, and how many of layer SHOWN point at the right
    cell; and the loss of counting and how many numbers are right, None where nothing is counted.
    """

    loss: Tensor
    right: Tensor
    tally: Tensor | None = None
    told: Tensor | None = None


def finger_loss(
    model: DeepseekVLV2ForCausalLM,
    heads: ReadingHeads,
    states: tuple[Tensor, ...],
    batch: MicroBatch,
) -> Pointed:
    """Where the fingers point, and what is counted.

    Args:
        model: the checkpoint in training.
        heads: name the tokens before, the places and the objects.
        states: the inputs [B, T, H] of every layer, and the final states.
        batch: with ``pointers``, and ``bins`` and ``objects`` where they are known.
    """
    assert batch.pointers is not None  # noqa: S101
    layers = model.config.language.num_hidden_layers
    latest = last_known(batch.pointers, batch.labels)
    written = gathered(batch.pointers, latest)[:, :-1]
    image_id = cast(int, model.config.image_token_id)
    same = spread(twins(batch.shown).long(), batch.ids, image_id) > 0
    now = _targets(batch, written, latest[:, :-1], same)
    following = _targets(batch, batch.pointers[:, 1:], _places(batch)[:, 1:], same)
    losses, right = [], batch.pointers.new_zeros(())
    counting: list[tuple[Tensor, Tensor]] = []
    for fingers in FINGERS:
        layer = layers - fingers.layer
        if layer < 1:  # the first layer has seen no context yet
            continue
        count = fingers.now + fingers.next
        query, key = _queries_and_keys(model, layer)
        if fingers.counts and batch.tallies is not None:
            head = query[:, -1], key[:, -1]
            counting.append(tally_loss(*head, batch.tallies, batch.branches))
        for targets, first, end in ((now, 0, fingers.now), (following, fingers.now, count)):
            if first < end:
                loss, hits = _pointing(query[:, first:end], key[:, first:end], targets)
                losses.append(loss)
        if fingers.layer == SHOWN:
            right = hits[0]
    loss = torch.cat(losses).mean()
    before, last = states[layers - KNOWS_NOW], states[layers - KNOWS_NEXT]
    cells = spread(batch.places, batch.ids, image_id)
    bins = batch.bins
    latest_bins = None if bins is None else gathered(bins, latest)[:, :-1]
    loss = loss + heads.now.loss(before[:, :-1], gathered(cells, written), latest_bins)
    coming = gathered(cells, batch.pointers[:, 1:])
    loss = loss + heads.next.loss(last[:, :-1], coming, None if bins is None else bins[:, 1:])
    loss = loss + RECENT_WEIGHT * heads.recent.loss(states[1], batch.ids, batch.labels)
    if batch.objects is not None:
        spoken = batch.objects.of[:, 1:]
        known = spoken >= 0
        facts = batch.objects.facts[spoken[known]]
        loss = loss + OBJECT_WEIGHT * heads.object.loss(last[:, :-1][known], facts, batch.unseen)
    if not counting:
        return Pointed(loss, right)
    return Pointed(loss, right, torch.stack([part for part, _ in counting]).mean(), counting[-1][1])


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


def _places(batch: MicroBatch) -> Tensor:
    return torch.arange(batch.ids.shape[1], device=batch.ids.device).expand_as(batch.ids)


@dataclass(frozen=True, slots=True)
class _Targets:
    """The places [B, M] that point, -1 where a row has fewer; of each, float32 [B, 1, M, T] nothing
    where it may point and the lowest number elsewhere, bool [B, 1, M, T] where it should, and
    the same as places [B, 1, M, K] with what to add for those that are not there. ``share`` of
    all that point are among them.
    """

    places: Tensor
    hidden: Tensor
    wanted: Tensor
    listed: Tensor
    unlisted: Tensor
    share: Tensor


def _targets(batch: MicroBatch, pointers: Tensor, spoken: Tensor, twins: Tensor) -> _Targets:
    """Targets of every row, from ``pointers`` [B, T - 1] and the tokens that they belong to.

    A token that speaks of an object may look at any cell of it, and where the thumbnail shows
    the same (``twins`` [B, T]) it may look there.
    """
    places = _pointing_places(pointers)
    columns = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    visible = columns <= places[..., None]
    if batch.branches is not None:
        own = batch.branches
        visible &= (own[:, None] == gathered(own, places)[..., None]) | (own == 0)[:, None]
    aims = gathered(pointers, places)
    wanted = columns == aims[..., None]
    twin = gathered(twins, aims) > 0
    wanted |= (columns == aims[..., None] - THUMBNAIL_TOKENS) & twin[..., None]
    if batch.objects is not None:
        of = gathered(batch.objects.of, gathered(spoken, places))[..., None]
        wanted |= batch.objects.areas[of[..., 0].clamp(min=0)] & (of >= 0)
    # Fillers point at the first place, and are not counted.
    filler = (places < 0)[..., None]
    visible, wanted = visible | filler, torch.where(filler, columns == 0, wanted)
    # Nothing points at all where only counts are asked for.
    share = (places >= 0).sum().clamp(min=1) / (pointers >= 0).sum().clamp(min=1)
    listed, unlisted = _listed(wanted)
    return _Targets(
        places, _shut(visible)[:, None], wanted[:, None], listed[:, None], unlisted[:, None], share
    )


def _pointing_places(pointers: Tensor) -> Tensor:
    """Where ``pointers`` [B, S] are known: [B, M], filled with -1; every other, third and so on
    where a row has more than MOST of them.
    """
    known = pointers >= 0
    order = known.cumsum(1) - 1
    most = int(known.sum(1).max())
    step = max(1, -(-most // MOST))
    kept = known & (order % step == 0)
    row, place = kept.nonzero(as_tuple=True)
    places = pointers.new_full((len(pointers), -(-most // step)), -1)
    places[row, order[row, place] // step] = place
    return places


def _shut(open_places: Tensor) -> Tensor:
    lowest = torch.finfo(torch.float32).min
    return torch.zeros(open_places.shape, device=open_places.device).masked_fill(
        ~open_places, lowest
    )


def _listed(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The few places that are wanted, and what to add to the scores of the fillers."""
    most = max(1, int(wanted.sum(-1).max())) if wanted.numel() else 1
    kept, places = wanted.to(torch.uint8).topk(most, dim=-1)
    return places, _shut(kept.bool())


def _pointing(query: Tensor, key: Tensor, targets: _Targets) -> tuple[Tensor, Tensor]:
    """Loss and hits [heads], summed over what points, from queries and keys [B, heads, T, D]."""
    counted = (targets.places >= 0)[:, None]
    pointing = query.take_along_dim(targets.places.clamp(min=0)[:, None, :, None], 2)
    scores = (pointing @ key.mT).float() + targets.hidden
    wanted = scores.take_along_dim(targets.listed, 3) + targets.unlisted
    losses = (scores.logsumexp(-1) - wanted.logsumexp(-1)) * counted
    best = scores.detach().argmax(-1, keepdim=True)
    hits = targets.wanted.take_along_dim(best, 3)[..., 0] & counted
    return losses.sum((0, 2)) / targets.share, hits.sum((0, 2)) / targets.share


def _attention(model: DeepseekVLV2ForCausalLM, index: int) -> MultiHeadLatentAttention:
    layer = cast(DecoderLayer, model.language.model.layers[index])
    return cast(MultiHeadLatentAttention, layer.self_attn)


def _queries_and_keys(model: DeepseekVLV2ForCausalLM, index: int) -> tuple[Tensor, Tensor]:
    """Scaled queries and keys [B, heads, T, D] of a layer, of the pass just made."""
    attention = _attention(model, index)
    assert attention.seen is not None  # noqa: S101
    query, key = attention.seen
    attention.seen = None
    return query * attention.scale, key
