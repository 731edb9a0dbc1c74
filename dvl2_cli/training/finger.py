"""The reading finger: attention heads of the decoder, taught to look where the text is read.

The cross-entropy is taken of the heads' own attention, over all positions before a token, so
that what is learned is what the decoder reads with (guided attention, arXiv 1710.08969, with
known targets). The first layers are taught to find the token that was written last, the
others the one to come. Left alone the decoder needs many times the steps to find the lines.
Small heads also name the cell, the bin of the glyph within it, and the tokens before; they are
dropped after training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.attention import MultiHeadLatentAttention, Tables
from deepseek_vl_v2.decoder import DecoderLayer
from deepseek_vl_v2.rope import rotary_tables
from dvl2_cli.errors import UsageError
from dvl2_cli.training.batch import MicroBatch
from dvl2_cli.training.cells import places_of, twins_of
from dvl2_cli.training.glyphs import BINS, THUMBNAIL_TOKENS
from dvl2_cli.training.heads import PlaceHead
from dvl2_cli.training.object_head import ObjectHead


@dataclass(frozen=True, slots=True)
class Fingers:
    """The fingers of a layer, counted from the last (1): heads for the token ``now``, then
    heads for the ``next`` one.
    """

    layer: int
    now: int
    next: int


# The last layer needs room for all glyphs of a cell.
FINGERS = (Fingers(5, 1, 0), Fingers(4, 1, 1), Fingers(3, 0, 1), Fingers(2, 0, 1), Fingers(1, 0, 3))
# The layer whose hits are shown, and those whose inputs should know the places.
SHOWN = 2
KNOWS_NOW, KNOWS_NEXT = 3, 1
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
    heads = max(fingers.now + fingers.next for fingers in FINGERS)
    enough = config.num_hidden_layers >= KNOWS_NOW and config.num_attention_heads >= heads
    if not config.use_mla or not enough:
        raise UsageError("pointer_loss needs latent attention, three layers and three heads")


class GlyphHead(nn.Module):
    """States [..., H] -> where a glyph is: the cell in its tile, the bin in the cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.bins = nn.Linear(width, BINS)
        self.place = PlaceHead(width)

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


def finger_loss(
    model: DeepseekVLV2ForCausalLM,
    heads: ReadingHeads,
    states: tuple[Tensor, ...],
    batch: MicroBatch,
) -> tuple[Tensor, Tensor]:
    """Summed loss of where the fingers point, and how many of layer SHOWN point at the right cell.

    Args:
        model: the checkpoint in training.
        heads: name the tokens before, the places and the objects.
        states: the inputs [B, T, H] of every layer, and the final states.
        batch: with ``pointers``, and ``bins`` and ``objects`` where they are known.
    """
    assert batch.pointers is not None  # noqa: S101
    config = model.config.language
    layers = config.num_hidden_layers
    tables = rotary_tables(batch.positions, config.qk_rope_head_dim, config.rope_theta)
    latest = last_known(batch.pointers, batch.labels)
    written = gathered(batch.pointers, latest)[:, :-1]
    image_id = cast(int, model.config.image_token_id)
    twins = twins_of(batch.ids, batch.images, image_id)
    now = _targets(batch, written, latest[:, :-1], twins)
    following = _targets(batch, batch.pointers[:, 1:], _places(batch)[:, 1:], twins)
    losses, right = [], batch.pointers.new_zeros(())
    for fingers in FINGERS:
        layer = layers - fingers.layer
        if layer < 1:  # the first layer has seen no context yet
            continue
        count = fingers.now + fingers.next
        query, key = _queries_and_keys(model, layer, states[layer], tables, count)
        for head in range(count):
            targets = now if head < fingers.now else following
            loss, hits = _pointing(query[:, head], key[:, head], targets)
            losses.append(loss)
        if fingers.layer == SHOWN:
            right = hits
    loss = torch.stack(losses).mean()
    before, last = states[layers - KNOWS_NOW], states[layers - KNOWS_NEXT]
    cells = places_of(batch.ids, batch.images, image_id)
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
        loss = loss + OBJECT_WEIGHT * heads.object.loss(last[:, :-1][known], facts)
    return loss, right


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
    """Of one row: the places [M] that point; float32 [M, T] nothing where they may and the lowest
    number elsewhere; bool [M, T] where they should, and the same as places [M, K] with what to
    add for those that are not there.
    """

    places: Tensor
    hidden: Tensor
    wanted: Tensor
    listed: Tensor
    unlisted: Tensor


def _targets(batch: MicroBatch, pointers: Tensor, spoken: Tensor, twins: Tensor) -> list[_Targets]:
    """Targets of every row, from ``pointers`` [B, T - 1] and the tokens that they belong to.

    A token that speaks of an object may look at any cell of it, and where the thumbnail shows
    the same (``twins``, see ``twins_of``) it may look there.
    """
    columns = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    found = []
    for row in range(len(pointers)):
        places = (pointers[row] >= 0).nonzero()[:, 0]
        visible = columns <= places[:, None]
        if batch.branches is not None:
            own = batch.branches[row]
            visible &= (own == own[places][:, None]) | (own == 0)
        aims = pointers[row, places]
        wanted = columns == aims[:, None]
        wanted |= (columns == aims[:, None] - THUMBNAIL_TOKENS) & twins[row, aims][:, None]
        if batch.objects is not None:
            of = batch.objects.of[row, spoken[row, places]]
            wanted |= batch.objects.areas[of.clamp(min=0)] & (of >= 0)[:, None]
        found.append(_Targets(places, _shut(visible), wanted, *_listed(wanted)))
    return found


def _shut(open_places: Tensor) -> Tensor:
    lowest = torch.finfo(torch.float32).min
    return torch.zeros(open_places.shape, device=open_places.device).masked_fill(
        ~open_places, lowest
    )


def _listed(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The few places that are wanted, and what to add to the scores of the fillers."""
    most = max(1, int(wanted.sum(-1).max())) if len(wanted) else 1
    kept, places = wanted.to(torch.uint8).topk(most, dim=-1)
    return places, _shut(kept.bool())


def _pointing(query: Tensor, key: Tensor, targets: Sequence[_Targets]) -> tuple[Tensor, Tensor]:
    """Summed loss and hits of one head, from its queries and keys [B, T, D]."""
    losses, hits = [], []
    for row, target in enumerate(targets):
        scores = (query[row, target.places] @ key[row].mT).float() + target.hidden
        wanted = scores.gather(1, target.listed) + target.unlisted
        losses.append((scores.logsumexp(-1) - wanted.logsumexp(-1)).sum())
        best = scores.detach().argmax(-1, keepdim=True)
        hits.append(target.wanted.gather(1, best).sum())
    return torch.stack(losses).sum(), torch.stack(hits).sum()


def _queries_and_keys(
    model: DeepseekVLV2ForCausalLM, index: int, states: Tensor, tables: Tables, heads: int
) -> tuple[Tensor, Tensor]:
    """Scaled queries and keys [B, heads, T, D] of a layer's first heads."""
    layer = cast(DecoderLayer, model.language.model.layers[index])
    attention = cast(MultiHeadLatentAttention, layer.self_attn)
    return attention.queries_and_keys(layer.input_layernorm(states), tables, heads)
