"""From pictures and conversations to what a micro-batch holds, with the model's own processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL.Image import Image
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2Processor
from deepseek_vl_v2.format import template, tiling
from dvl2_cli.finetuning.batch import MicroBatch, PlacedImage
from dvl2_cli.finetuning.layout import lay_out
from nano_lab.pretraining.counting_targets import Tally, join_tallies
from nano_lab.pretraining.objects import SeenObject, join_objects

# Lengths are multiples of this: few shapes, few kernels for oneDNN to compile.
LENGTH_STEP = 128

Pixels = npt.NDArray[np.uint8]
Message = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """One conversation; ``tiles`` [N, 3, S, S] without repeats, ``images`` index into them.

    Or several that begin with the same picture: ``branches`` numbers them from 1, 0 is what
    they share, and ``positions`` go on from there in each. ``objects``: which of them each
    token is read from, and where in the sequence they are seen; ``mentions``: which ones it names;
    ``tallies``: where they are counted; ``excluded``: positions, and tokens that the one there is
    not told apart from.
    """

    ids: list[int]
    labels: list[int]
    tiles: Pixels
    images: tuple[PlacedImage, ...]
    pointers: list[int] | None = None
    bins: list[int] | None = None
    positions: list[int] | None = None
    branches: list[int] | None = None
    objects: tuple[list[int], list[SeenObject]] | None = None
    mentions: list[tuple[int, int]] | None = None
    tallies: tuple[Tally, ...] = ()
    excluded: tuple[tuple[int, int], ...] = ()


def encode_sample(
    processor: DeepseekVLV2Processor,
    messages: Sequence[Message],
    images: Sequence[Image],
    zooms: Sequence[float] = (),
) -> EncodedSample:
    """Encode a conversation that ends with an answer; only answers are labels.

    ``zooms`` of the pictures are as in ``tiling.tile_grid``, 1 where there are none.

    Raises:
        PromptError: see ``deepseek_vl_v2.format.template``.
    """
    grids, encoded = encode_text(processor, messages, [image.size for image in images], zooms)
    labels = encoded.labels(processor.ignore_id)
    # Upstream keeps BOS as a label; nothing can predict it.
    labels[0] = processor.ignore_id
    tiles: list[Pixels] = []
    placed: list[PlacedImage] = []
    for image, grid in zip(images[: encoded.images_used], grids, strict=False):
        cut = tiling.cut_tiles(image, grid, processor.tile_size)
        if (grid.columns, grid.rows) == (1, 1):
            placed.append(PlacedImage((len(tiles), len(tiles)), 1, 1))
            tiles.append(cut[0])
        else:
            numbers = tuple(range(len(tiles), len(tiles) + len(cut)))
            placed.append(PlacedImage(numbers, grid.columns, grid.rows))
            tiles += list(cut)
    size = processor.tile_size
    pixels = np.stack(tiles) if tiles else np.zeros((0, 3, size, size), np.uint8)
    return EncodedSample(encoded.ids, labels, pixels, tuple(placed))


def encode_branches(
    processor: DeepseekVLV2Processor,
    conversations: Sequence[Sequence[Message]],
    images: Sequence[Image],
    zooms: Sequence[float] = (),
) -> EncodedSample:
    """Encode conversations about the same images, whose tokens stand in front of all, once.

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
    return EncodedSample(
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


def encode_text(
    processor: DeepseekVLV2Processor,
    messages: Sequence[Message],
    sizes: Sequence[tuple[int, int]],
    zooms: Sequence[float] = (),
) -> tuple[list[tiling.TileGrid], template.EncodedPrompt]:
    """The grid of every picture, given its width and height, and the ids of a conversation.

    Raises:
        PromptError: see ``deepseek_vl_v2.format.template``.
    """
    shown = zip(sizes, zooms or [1.0] * len(sizes), strict=True)
    grids = [processor.grid(size, images=len(sizes), zoom=zoom) for size, zoom in shown]
    counts = iter([grid.tokens(processor.tile_tokens) for grid in grids])
    turns = [_turn(message, counts) for message in messages]
    encoded = template.encode_turns(turns, processor.tokens, mask_prompt=True, for_generation=False)
    return grids, encoded


def _turn(message: Message, counts: Iterator[int]) -> template.Turn:
    """A turn of a data file, with what its pictures take in place of their markers."""
    role, content = template.role_of(str(message["role"])), str(message["content"])
    if role != "user":
        return role, [content]
    return role, template.with_image_positions(content, counts)


def rounded_up(length: int) -> int:
    """The next multiple of LENGTH_STEP."""
    return -(-length // LENGTH_STEP) * LENGTH_STEP


def collate(
    samples: Sequence[EncodedSample],
    pad_id: int,
    dense: Tensor | None = None,
    things: Tensor | None = None,
) -> MicroBatch:
    """One sample a row, padded on the right: causal attention then never sees padding."""
    length = rounded_up(max(len(sample.ids) for sample in samples))
    ids = torch.full((len(samples), length), pad_id)
    labels = torch.full((len(samples), length), -100)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
        labels[row, : len(sample.ids)] = torch.tensor(sample.labels)
    positions = torch.arange(length).repeat(len(samples), 1)
    for row, sample in enumerate(samples):
        if sample.positions is not None:
            positions[row, : len(sample.ids)] = torch.tensor(sample.positions)
    return MicroBatch(
        join_tiles(samples),
        dense,
        *lay_out(join_images(samples)),
        ids,
        labels,
        positions,
        None,
        pointers=_rows([sample.pointers for sample in samples], length),
        bins=_rows([sample.bins for sample in samples], length),
        things=things,
        branches=_rows([sample.branches for sample in samples], length),
        objects=join_objects([sample.objects for sample in samples], length),
        mentions=_rows([sample.mentions for sample in samples], length, 2),
        tallies=join_tallies([sample.tallies for sample in samples]),
        excluded=_excluded(samples),
    )


def _excluded(samples: Sequence[EncodedSample]) -> Tensor | None:
    rows = [(row, *pair) for row, sample in enumerate(samples) for pair in sample.excluded]
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


def pack(
    rows: Sequence[Sequence[EncodedSample]], pad_id: int, dense: Tensor | None = None
) -> MicroBatch:
    """Several samples a row; each counts its positions from 0 and sees only itself."""
    length = rounded_up(max(sum(len(sample.ids) for sample in row) for row in rows))
    ids = torch.full((len(rows), length), pad_id)
    labels = torch.full((len(rows), length), -100)
    positions = torch.zeros((len(rows), length), dtype=torch.long)
    segments = torch.zeros((len(rows), length), dtype=torch.long)
    for number, row in enumerate(rows):
        start = 0
        for segment, sample in enumerate(row, 1):
            mine = slice(start, start + len(sample.ids))
            ids[number, mine] = torch.tensor(sample.ids)
            labels[number, mine] = torch.tensor(sample.labels)
            # The first token of a sample must not be predicted from its neighbour.
            labels[number, start] = -100
            positions[number, mine] = torch.arange(len(sample.ids))
            segments[number, mine] = segment
            start += len(sample.ids)
    samples = [sample for row in rows for sample in row]
    shown, places = lay_out(join_images(samples))
    return MicroBatch(join_tiles(samples), dense, shown, places, ids, labels, positions, segments)


def join_tiles(samples: Sequence[EncodedSample]) -> Tensor:
    """All tiles of ``samples``: uint8 [N, 3, S, S]."""
    return torch.from_numpy(np.concatenate([sample.tiles for sample in samples]))


def join_images(samples: Sequence[EncodedSample]) -> list[PlacedImage]:
    """The images of ``samples``, with indices into all of their tiles."""
    images: list[PlacedImage] = []
    start = 0
    for sample in samples:
        for image in sample.images:
            numbers = tuple(start + number for number in image.tiles)
            images.append(PlacedImage(numbers, image.columns, image.rows))
        start += len(sample.tiles)
    return images
