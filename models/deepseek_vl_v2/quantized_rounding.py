"""Choosing values and scales: rounding a weight to int4 or int8.

The compiled kernels and the torch code hold the same search; the latter runs without a
compiler and is the former's reference.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.kernels.structures import MatrixKind
from deepseek_vl_v2.quantized_format import (
    GROUP_COLUMNS,
    INT4_CODES,
    PackedKind,
    ScaledValues,
    dequantise,
    pack,
    packed_shape,
)

# The largest magnitude of a group is laid on one of these codes, or between codes, and the
# scale with the smallest squared error is kept.
INT4_EXTREME_CODES = tuple(range(-155, -105, 7)) + tuple(range(84, 133, 7))
_ROWS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed weight and what rounding did to it.

    Attributes:
        data: uint8 in the packed layout.
        squares: sum of the squared weights.
        squared_error: sum of the squared rounding errors.
    """

    data: Tensor
    squares: float
    squared_error: float


def quantise(weight: Tensor, kind: PackedKind) -> Packed:
    """Round and pack a [rows, columns] weight.

    Raises:
        ValueError: the weight holds infinities or NaN.
    """
    native = kernels.load_library()
    if native is None:
        return _quantise_in_torch(weight, kind)
    half = weight.dtype is torch.bfloat16
    source = (weight if half else weight.float()).contiguous()
    rows, columns = weight.shape
    packed = torch.empty(packed_shape(kind, rows, columns), dtype=torch.uint8)
    squares = (ctypes.c_double * 2)()
    code = MatrixKind.INT4 if kind is PackedKind.INT4 else MatrixKind.INT8
    kernels.check(
        native.dvl2_pack(code, source.data_ptr(), half, rows, columns, packed.data_ptr(), squares)
    )
    return Packed(packed, squares[0], squares[1])


def _quantise_in_torch(weight: Tensor, kind: PackedKind) -> Packed:
    packed = pack(kind, round_weight(weight, kind))
    squares = squared_error = 0.0
    # A slab of rows at a time: a head in fp64 would not fit beside the rest.
    restored = dequantise(packed, weight.shape[0], weight.shape[1], torch.float32)
    for rows, back in zip(weight.split(1024), restored.split(1024), strict=True):
        squares += float(rows.double().square().sum())
        squared_error += float((rows.double() - back.double()).square().sum())
    return Packed(packed, squares, squared_error)


def round_weight(weight: Tensor, kind: PackedKind) -> ScaledValues:
    """Round a weight to ``kind`` in groups of 32 columns.

    Args:
        weight: [rows, columns], any float dtype.
        kind: int4 searches each group's scale, int8 takes the group's largest magnitude / 127.

    Raises:
        ValueError: the weight holds infinities or NaN.
    """
    rows, columns = weight.shape
    padded = torch.nn.functional.pad(weight, (0, -columns % GROUP_COLUMNS))
    groups = padded.reshape(-1, GROUP_COLUMNS)
    round_groups = _round_int4 if kind is PackedKind.INT4 else _round_int8
    parts = [round_groups(part.float()) for part in groups.split(_ROWS_AT_ONCE)]
    scales = torch.cat([scale for _, scale in parts])
    if not torch.isfinite(scales).all():
        raise ValueError("the weight holds infinities or NaN")
    values = torch.cat([value for value, _ in parts]).view(rows, -1)[:, :columns]
    return ScaledValues(values.contiguous(), scales.view(rows, -1))


def _round_int8(groups: Tensor) -> tuple[Tensor, Tensor]:
    scale = (groups.abs().amax(dim=1) / 127.0).bfloat16()
    codes = (groups * _inverse(scale)[:, None]).round().clamp(-127, 127)
    return codes.nan_to_num().to(torch.int8), scale


def _round_int4(groups: Tensor) -> tuple[Tensor, Tensor]:
    levels = torch.tensor(INT4_CODES, dtype=torch.float32)
    middles = (levels[1:] + levels[:-1]) / 2
    extreme = groups.gather(1, groups.abs().argmax(dim=1, keepdim=True)).squeeze(1)
    best_codes = torch.zeros_like(groups)
    best_scale = torch.zeros_like(extreme, dtype=torch.bfloat16)
    best_error = torch.full_like(extreme, float("inf"))
    for code in INT4_EXTREME_CODES:
        scale = (extreme / code).bfloat16()
        codes = levels[torch.bucketize(groups * _inverse(scale)[:, None], middles)]
        error = (groups - codes * scale.float()[:, None]).square().sum(dim=1)
        # NaN never compares smaller: let it through so that the caller sees it.
        better = (error < best_error) | error.isnan()
        best_error = torch.where(better, error, best_error)
        best_scale = torch.where(better, scale, best_scale)
        best_codes = torch.where(better[:, None], codes, best_codes)
    return best_codes.to(torch.int8), best_scale


def _inverse(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, 0.0, 1.0 / scale.float())
