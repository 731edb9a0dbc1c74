"""From rendered samples to what a pretraining micro-batch holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL.Image import Image
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2Processor
from dvl2_cli.finetuning import encode
from dvl2_cli.finetuning.encode import EncodedSample, Message, encode_sample, encode_text
from nano_lab.pretraining.batch import PretrainingBatch
from nano_lab.pretraining.counting_targets import CountedPlaces, join_counting
from nano_lab.pretraining.layout import cell_places
from nano_lab.pretraining.objects import PlacedObject, join_objects


@dataclass(frozen=True, slots=True)
class PretrainingSample(EncodedSample):
    """A conversation with its targets, or several that branch off the same picture.

    Attributes:
        attention_targets: of every token the position that it is read from, or -1.
        glyph_bins: of every token the bin of its glyph, or -1.
        positions: of every token; None counts from 0.
        branches: numbers prefix branches from 1; 0 is the prefix, and each branch goes on from it.
        objects: the object that each token is read from, or -1, and all objects.
        mentions: classes of the name and the colour that end with each token, or -1.
        counting: where objects are counted.
        excluded_tokens: positions, and tokens that are no negatives there.
    """

    attention_targets: list[int] | None = None
    glyph_bins: list[int] | None = None
    positions: list[int] | None = None
    branches: list[int] | None = None
    objects: tuple[list[int], list[PlacedObject]] | None = None
    mentions: list[tuple[int, int]] | None = None
    counting: tuple[CountedPlaces, ...] = ()
    excluded_tokens: tuple[tuple[int, int], ...] = ()


def without_targets(sample: EncodedSample) -> PretrainingSample:
    """``sample``, as yet without any target."""
    return PretrainingSample(sample.ids, sample.labels, sample.tiles, sample.images)


def encode_branches(
    processor: DeepseekVLV2Processor,
    conversations: Sequence[Sequence[Message]],
    images: Sequence[Image],
    zooms: Sequence[float] = (),
) -> PretrainingSample:
    """Encode conversations about the same images as branches behind one prefix, the images.

    Raises:
        PromptError: see ``deepseek_vl_v2.format.template``.
    """
    first, *others = conversations
    encoded = encode_sample(processor, first, images, zooms)
    shared = len(encoded.ids) - encoded.ids[::-1].index(processor.tokens.image)
    ids, labels = encoded.ids[:shared], encoded.labels[:shared]
    positions, branches = list(range(shared)), [0] * shared
    more = [_own_part(processor, messages, images, shared, zooms) for messages in others]
    own = [(encoded.ids[shared:], encoded.labels[shared:]), *more]
    for number, (own_ids, own_labels) in enumerate(own, 1):
        ids, labels = ids + own_ids, labels + own_labels
        positions += range(shared, shared + len(own_ids))
        branches += [number] * len(own_ids)
    return PretrainingSample(
        ids, labels, encoded.tiles, encoded.images, positions=positions, branches=branches
    )


def _own_part(
    processor: DeepseekVLV2Processor,
    messages: Sequence[Message],
    images: Sequence[Image],
    shared: int,
    zooms: Sequence[float],
) -> tuple[list[int], list[int]]:
    _, encoded = encode_text(processor, messages, [image.size for image in images], zooms)
    return encoded.ids[shared:], encoded.labels(processor.ignore_id)[shared:]


def collate(
    samples: Sequence[PretrainingSample],
    pad_id: int,
    glyph_labels: Tensor | None = None,
    object_labels: Tensor | None = None,
) -> PretrainingBatch:
    """One sample a row, padded on the right, with the targets of all."""
    plain = encode.collate(samples, pad_id)
    length = plain.ids.shape[1]
    positions = plain.positions.clone()
    for row, sample in enumerate(samples):
        if sample.positions is not None:
            positions[row, : len(sample.ids)] = torch.tensor(sample.positions)
    return PretrainingBatch(
        plain.tiles,
        plain.shown,
        plain.ids,
        plain.labels,
        positions,
        cell_places=cell_places(encode.join_images(samples)),
        glyph_labels=glyph_labels,
        object_labels=object_labels,
        attention_targets=_rows([sample.attention_targets for sample in samples], length),
        glyph_bins=_rows([sample.glyph_bins for sample in samples], length),
        branches=_rows([sample.branches for sample in samples], length),
        objects=join_objects([sample.objects for sample in samples], length),
        mentions=_rows([sample.mentions for sample in samples], length, 2),
        counting=join_counting([sample.counting for sample in samples]),
        excluded_tokens=_excluded(samples),
    )


def _excluded(samples: Sequence[PretrainingSample]) -> Tensor | None:
    rows = [(row, *pair) for row, sample in enumerate(samples) for pair in sample.excluded_tokens]
    return torch.tensor(rows) if rows else None


def _rows(
    values: Sequence[list[int] | list[tuple[int, int]] | None], length: int, *fields: int
) -> Tensor | None:
    """[B, length, *fields] int64, filled with -1; None where no sample has values."""
    if not any(values):
        return None
    rows = torch.full((len(values), length, *fields), -1)
    for row, own in zip(rows, values, strict=True):
        if own:
            row[: len(own)] = torch.tensor(own)
    return rows
