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
from dvl2_cli.finetuning.layout import shown_cells

# Lengths are multiples of this: few shapes, few kernels for oneDNN to compile.
LENGTH_STEP = 128

Pixels = npt.NDArray[np.uint8]
Message = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """One conversation; ``tiles`` [N, 3, S, S] without repeats, ``images`` index into them."""

    ids: list[int]
    labels: list[int]
    tiles: Pixels
    images: tuple[PlacedImage, ...]


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


def collate(samples: Sequence[EncodedSample], pad_id: int) -> MicroBatch:
    """One sample a row, padded on the right: causal attention then never sees padding."""
    length = rounded_up(max(len(sample.ids) for sample in samples))
    ids = torch.full((len(samples), length), pad_id)
    labels = torch.full((len(samples), length), -100)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
        labels[row, : len(sample.ids)] = torch.tensor(sample.labels)
    positions = torch.arange(length).repeat(len(samples), 1)
    shown = shown_cells(join_images(samples))
    return MicroBatch(join_tiles(samples), shown, ids, labels, positions)


def pack(rows: Sequence[Sequence[EncodedSample]], pad_id: int) -> MicroBatch:
    """Several samples a row; each counts its positions from 0 and sees only itself."""
    length = rounded_up(max(sum(len(sample.ids) for sample in row) for row in rows))
    ids = torch.full((len(rows), length), pad_id)
    labels = torch.full((len(rows), length), -100)
    positions = torch.zeros((len(rows), length), dtype=torch.long)
    packing_ids = torch.zeros((len(rows), length), dtype=torch.long)
    for number, row in enumerate(rows):
        start = 0
        for packing_id, sample in enumerate(row, 1):
            mine = slice(start, start + len(sample.ids))
            ids[number, mine] = torch.tensor(sample.ids)
            labels[number, mine] = torch.tensor(sample.labels)
            # The first token of a sample must not be predicted from its neighbour.
            labels[number, start] = -100
            positions[number, mine] = torch.arange(len(sample.ids))
            packing_ids[number, mine] = packing_id
            start += len(sample.ids)
    samples = [sample for row in rows for sample in row]
    shown = shown_cells(join_images(samples))
    return MicroBatch(join_tiles(samples), shown, ids, labels, positions, packing_ids)


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
