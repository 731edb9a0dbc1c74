"""Linear layers with packed weights, in place of ``nn.Linear``.

Inputs are rounded to int8 in groups of 32, as the weights are, so that a product is one of
small integers. The compiled kernels and the torch fallback round alike and differ only in
the order of fp32 sums.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2.attention import LatentUpProjection
from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.kernels.linear import compiled_linear
from deepseek_vl_v2.kernels.structures import Matrix, MatrixKind
from deepseek_vl_v2.quantized_format import GROUP_COLUMNS, PackedKind, dequantise, packed_kind

# As REACH and DEVIATIONS in kernels/decoder_head.cpp.
HEAD_LOGIT_MARGIN = 12.0
HEAD_DEVIATIONS = 2.5


class QuantizedLinear(nn.Module):
    """``x W^T + b`` with a packed W; inference only.

    Args:
        packed: uint8 tensor in the packed layout; kept as it is, mapped memory included.
        rows: outputs.
        columns: inputs.
        bias: [rows] or None.

    Raises:
        ValueError: ``packed`` is not a packed weight of that shape.
    """

    weight: Tensor

    def __init__(self, packed: Tensor, rows: int, columns: int, bias: Tensor | None = None) -> None:
        super().__init__()
        _check_packed(packed, rows, columns)
        self.out_features = rows
        self.in_features = columns
        self.register_buffer("weight", packed)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    @property
    def kind(self) -> PackedKind:
        """How the weight is stored."""
        kind = packed_kind(self.weight.shape, self.weight.dtype)
        assert kind is not None  # noqa: S101  checked when it was set
        return kind

    def dequantised(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weight [rows, columns] that is multiplied with."""
        return dequantise(self.weight, self.out_features, self.in_features, dtype)

    def forward(self, states: Tensor) -> Tensor:
        """[..., columns] -> [..., rows] in the dtype of the input."""
        flat = states.reshape(-1, self.in_features)
        out = packed_product(self.weight, self.out_features, flat, self.bias)
        return out.to(states.dtype).view(*states.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Shown by ``print(model)``."""
        return f"{self.in_features} -> {self.out_features}, {self.kind.value}"


class QuantizedLatentUpProjection(QuantizedLinear):
    """``kv_b_proj`` of latent attention, with its key half transposed beside it."""

    key_absorbed: Tensor

    def __init__(self, packed: Tensor, key_absorbed: Tensor, plain: LatentUpProjection) -> None:
        super().__init__(packed, plain.out_features, plain.in_features)
        self.heads, self.key_dim, self.value_dim = plain.heads, plain.key_dim, plain.value_dim
        _check_packed(key_absorbed, self.heads * self.in_features, self.key_dim)
        self.register_buffer("key_absorbed", key_absorbed)

    def forward(
        self,
        states: Tensor,
        part: Literal["all", "query_to_latent", "latent_to_value"] = "all",
    ) -> Tensor:
        """As ``LatentUpProjection.forward``."""
        if part == "all":
            batch, length, _ = states.shape
            return super().forward(states).view(batch, length, self.heads, -1).transpose(1, 2)
        if part == "query_to_latent":
            rows = self.heads * self.in_features
            weight = dequantise(self.key_absorbed, rows, self.key_dim, torch.float32)
            weight = weight.view(self.heads, self.in_features, self.key_dim)
        else:
            weight = self.dequantised().view(self.heads, self.key_dim + self.value_dim, -1)
            weight = weight[:, self.key_dim :]
        return (rounded_activations(states) @ weight.transpose(1, 2)).to(states.dtype)


class QuantizedHead(QuantizedLinear):
    """An int4 output head that computes the logits near the top from the released rows.

    Those are the logits less than 12 below the highest (less probable by e^-12 at most) and
    2.5 standard deviations above the mean: a few in a thousand, whatever the weights.
    """

    exact_rows: Tensor

    def __init__(self, packed: Tensor, exact_rows: Tensor) -> None:
        super().__init__(packed, *exact_rows.shape)
        self.register_buffer("exact_rows", exact_rows)

    def forward(self, states: Tensor) -> Tensor:
        """[..., hidden] -> [..., vocabulary] fp32."""
        flat = states.reshape(-1, self.in_features)
        logits = packed_product(self.weight, self.out_features, flat.float(), None)
        top = logits.amax(dim=1)
        spread = logits.double().std(dim=1, correction=0)
        floor = (logits.double().mean(dim=1) + HEAD_DEVIATIONS * spread).float()
        threshold = torch.maximum(top - HEAD_LOGIT_MARGIN, torch.minimum(floor, top))
        for row, least, hidden in zip(logits, threshold, flat.float(), strict=True):
            chosen = torch.nonzero(row >= least)[:, 0]
            row[chosen] = self.exact_rows[chosen].float() @ hidden
        return logits.view(*states.shape[:-1], self.out_features)


def packed_product(packed: Tensor, rows: int, flat: Tensor, bias: Tensor | None) -> Tensor:
    """[N, columns] -> [N, rows] in bfloat16 where the input is, else in fp32."""
    columns = flat.shape[1]
    if flat.device.type == "cpu" and kernels.available():
        return compiled_linear(packed_matrix(packed, rows, columns), flat, bias)
    weight = dequantise(packed, rows, columns, torch.float32)
    wide_bias = None if bias is None else bias.float()
    out = functional.linear(rounded_activations(flat), weight, wide_bias)
    return out.to(flat.dtype) if flat.dtype is torch.bfloat16 else out


def rounded_activations(states: Tensor) -> Tensor:
    """[..., columns] -> the same in fp32, as int8 in groups of 32 would represent it."""
    columns = states.shape[-1]
    padded = functional.pad(states.float(), (0, -columns % GROUP_COLUMNS))
    groups = padded.view(*padded.shape[:-1], -1, GROUP_COLUMNS)
    peak = groups.abs().amax(dim=-1, keepdim=True)
    # Not 127 / peak, which torch computes as a reciprocal times 127: that rounds twice.
    inverse = torch.where(peak > 0, torch.full_like(peak, 127.0) / peak, 0.0)
    rounded = (groups * inverse).round() * (peak / 127.0)
    return rounded.view_as(padded)[..., :columns]


def packed_matrix(packed: Tensor, rows: int, columns: int) -> Matrix:
    """The structure that the kernels take; ``packed`` must outlive it."""
    int4 = packed_kind(packed.shape, packed.dtype) is PackedKind.INT4
    kind = MatrixKind.INT4 if int4 else MatrixKind.INT8
    return Matrix(kind=kind, rows=rows, columns=columns, reserved=0, data=packed.data_ptr())


def _check_packed(packed: Tensor, rows: int, columns: int) -> None:
    kind = packed_kind(packed.shape, packed.dtype)
    expected = (-(-rows // 16), -(-columns // 64))
    if kind is None or tuple(packed.shape[:2]) != expected or not packed.is_contiguous():
        raise ValueError(
            f"{packed.dtype} {list(packed.shape)} is not a packed weight of [{rows}, {columns}]"
        )
