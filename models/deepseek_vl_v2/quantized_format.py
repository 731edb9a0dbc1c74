"""The layout of dvl2's quantised weights, and packing and unpacking in plain torch.

A quantised copy is a folder that looks like a released checkpoint: ``config.json`` (the
released fields, plus ``quantization_config`` with ``quant_method`` "dvl2"), the processor's
and tokenizer's files as released, and safetensors shards with an index, one shard for each
decoder layer. Every key keeps its released name. A weight that was quantised is a uint8
tensor of three dimensions; every other tensor keeps its released dtype and shape, so which
tensors are quantised, and how, can be read off the shards' headers alone.

A packed weight for a linear map of ``rows`` outputs and ``columns`` inputs has the shape
[ceil(rows / 16), ceil(columns / 64), bytes of a block]: one block holds 16 rows by 64
columns, and the blocks of the same 16 rows follow each other, so that a matrix times a
vector reads memory in one linear stream. Rows and columns that pad a block are zero.

Inside a block, first the scales: for each of the 2 groups of 32 columns, 16 bfloat16 numbers,
one for each row (64 bytes). Then the values, group by group:

- int4 (512 bytes): 4 lines of 64 bytes. Byte ``4 * row + i`` of line ``j`` holds, in its low
  nibble, column ``4 * j + i`` of the group, and in its high nibble column ``16 + 4 * j + i``,
  each as an index into ``INT4_CODES``. A block has 576 bytes: 4.5 bits per weight.
- int8 (1024 bytes): 8 lines of 64 bytes. Byte ``4 * row + i`` of line ``j`` is column
  ``4 * j + i`` in two's complement, in [-127, 127]. A block has 1088 bytes: 8.5 bits.

A weight is scale times value. The 16 int4 values are not evenly spaced: they minimise the
squared error over groups of 32 normal numbers whose largest magnitude lies near one of the
two outer codes (Lloyd's algorithm; 0 kept). That gives a relative error of 7.4 % on normal
weights, where even steps with the same search of the scale give 8.1 %.

Blocks are multiples of 64 bytes and shards put their packed tensors first, with the header
padded to 64 bytes, so a mapped weight starts on a cache line.

Which weights are packed: all linear layers of the decoder, the tower and the projector. The
tower, the projector and the two latent projections (``kv_a_proj_with_mqa``, ``kv_b_proj``) are
int8 in either format; the rest is of the format's kind. Routers, norms, biases, embeddings
and the patch convolution stay as released. ``vision.attn_pool`` is left out: nothing reads it.

Two tensors are added beside the released ones:

- ``self_attn.kv_b_proj.key_absorbed`` in each layer of latent attention (``use_mla``), packed
  as int8 with [heads * kv_lora_rank] rows and [qk_nope_head_dim] columns: the key half of
  ``kv_b_proj``, transposed for each head, which decoding multiplies with the query instead of
  expanding the cached latents;
- ``language.lm_head.exact_rows``, where ``lm_head`` is int4: its released weight, [vocab_size,
  hidden_size], unpacked. The int4 weight gives every token's logit; those near the top are
  computed again from these rows. A step reads a few hundred of them at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

FORMAT_VERSION = 1
QUANT_METHOD = "dvl2"

INT4_CODES = (-127, -99, -78, -61, -47, -34, -22, -11, 0, 11, 23, 35, 49, 64, 82, 105)

TILE_ROWS = 16
GROUP_COLUMNS = 32
BLOCK_COLUMNS = 64
GROUPS_PER_BLOCK = BLOCK_COLUMNS // GROUP_COLUMNS
SCALE_BYTES = GROUPS_PER_BLOCK * TILE_ROWS * 2


class PackedKind(StrEnum):
    """How the values of a packed weight are stored."""

    INT4 = "int4"
    INT8 = "int8"

    @property
    def block_bytes(self) -> int:
        """Bytes of one block of 16 rows by 64 columns, scales included."""
        values = TILE_ROWS * BLOCK_COLUMNS
        return SCALE_BYTES + (values // 2 if self is PackedKind.INT4 else values)


@dataclass(frozen=True, slots=True)
class ScaledValues:
    """A quantised matrix before packing.

    Attributes:
        values: int8 [rows, columns]; for int4 each one of ``INT4_CODES``.
        scales: bfloat16 [rows, ceil(columns / 32)].
    """

    values: Tensor
    scales: Tensor


def packed_shape(kind: PackedKind, rows: int, columns: int) -> tuple[int, int, int]:
    """The shape of the uint8 tensor that holds a [rows, columns] weight."""
    return (-(-rows // TILE_ROWS), -(-columns // BLOCK_COLUMNS), kind.block_bytes)


def packed_kind(shape: tuple[int, ...] | torch.Size, dtype: torch.dtype) -> PackedKind | None:
    """The kind of a stored tensor, or None where it is not a packed weight."""
    if dtype is not torch.uint8 or len(shape) != 3:
        return None
    return next((kind for kind in PackedKind if kind.block_bytes == shape[2]), None)


def pack(kind: PackedKind, quantised: ScaledValues) -> Tensor:
    """Arrange values and scales in blocks.

    Returns:
        uint8 tensor of ``packed_shape(kind, rows, columns)``.
    """
    values, scales = _padded(quantised)
    tiles, blocks = values.shape[0] // TILE_ROWS, values.shape[1] // BLOCK_COLUMNS
    scale_bytes = (
        scales.view(tiles, TILE_ROWS, blocks, GROUPS_PER_BLOCK)
        .permute(0, 2, 3, 1)
        .reshape(tiles, blocks, -1)
        .view(torch.uint8)
    )
    if kind is PackedKind.INT8:
        lines = values.view(tiles, TILE_ROWS, blocks, GROUPS_PER_BLOCK, 8, 4)
        value_bytes = lines.permute(0, 2, 3, 4, 1, 5).reshape(tiles, blocks, -1).view(torch.uint8)
    else:
        nibbles = torch.bucketize(values, torch.tensor(INT4_CODES)).to(torch.uint8)
        halves = nibbles.view(tiles, TILE_ROWS, blocks, GROUPS_PER_BLOCK, 2, 4, 4)
        lines = halves[:, :, :, :, 0] | (halves[:, :, :, :, 1] << 4)
        value_bytes = lines.permute(0, 2, 3, 4, 1, 5).reshape(tiles, blocks, -1)
    return torch.cat([scale_bytes, value_bytes], dim=-1)


def unpack(packed: Tensor, rows: int, columns: int) -> ScaledValues:
    """The values and scales of a packed weight: the inverse of ``pack``.

    Raises:
        ValueError: ``packed`` is not a packed weight of that shape.
    """
    kind = packed_kind(packed.shape, packed.dtype)
    if kind is None or tuple(packed.shape) != packed_shape(kind, rows, columns):
        raise ValueError(f"{tuple(packed.shape)} is not a packed weight of [{rows}, {columns}]")
    tiles, blocks, _ = packed.shape
    scales = (
        packed[..., :SCALE_BYTES]
        .contiguous()
        .view(torch.bfloat16)
        .view(tiles, blocks, GROUPS_PER_BLOCK, TILE_ROWS)
        .permute(0, 3, 1, 2)
        .reshape(tiles * TILE_ROWS, -1)
    )
    lines = packed[..., SCALE_BYTES:].contiguous()
    if kind is PackedKind.INT8:
        grid = lines.view(torch.int8).view(tiles, blocks, GROUPS_PER_BLOCK, 8, TILE_ROWS, 4)
        values = grid.permute(0, 4, 1, 2, 3, 5)
    else:
        pairs = lines.view(tiles, blocks, GROUPS_PER_BLOCK, 4, TILE_ROWS, 4)
        halves = torch.stack([pairs & 15, pairs >> 4], dim=3)
        codes = torch.tensor(INT4_CODES, dtype=torch.int8)
        values = codes[halves.int()].permute(0, 5, 1, 2, 3, 4, 6)
    values = values.reshape(tiles * TILE_ROWS, blocks * BLOCK_COLUMNS)
    return ScaledValues(
        values[:rows, :columns].contiguous(),
        scales[:rows, : -(-columns // GROUP_COLUMNS)].contiguous(),
    )


def dequantise(
    packed: Tensor, rows: int, columns: int, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    """The [rows, columns] weight that a packed tensor stands for, in ``dtype``."""
    quantised = unpack(packed, rows, columns)
    scales = quantised.scales.float().repeat_interleave(GROUP_COLUMNS, dim=1)[:, :columns]
    return (quantised.values.float() * scales).to(dtype)


def _padded(quantised: ScaledValues) -> tuple[Tensor, Tensor]:
    rows, columns = quantised.values.shape
    more_rows, more_columns = -rows % TILE_ROWS, -columns % BLOCK_COLUMNS
    more_groups = (columns + more_columns) // GROUP_COLUMNS - quantised.scales.shape[1]
    values = torch.nn.functional.pad(quantised.values, (0, more_columns, 0, more_rows))
    scales = torch.nn.functional.pad(quantised.scales, (0, more_groups, 0, more_rows))
    return values.contiguous(), scales.contiguous()
