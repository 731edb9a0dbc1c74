from __future__ import annotations

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.quantized_format import (
    INT4_CODES,
    PackedKind,
    ScaledValues,
    dequantise,
    pack,
    packed_kind,
    packed_shape,
    unpack,
)
from deepseek_vl_v2.quantized_rounding import quantise, round_weight

sizes = st.integers(min_value=1, max_value=150)
kinds = st.sampled_from(PackedKind)
# Of the 2-norm, for normal weights: see quantized_format.
LARGEST_ERROR = {PackedKind.INT4: 0.085, PackedKind.INT8: 0.007}


@settings(max_examples=40, deadline=None)
@given(kinds, sizes, sizes, st.integers(0, 2**31))
def test_unpack_inverts_pack(kind: PackedKind, rows: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    groups = -(-columns // 32)
    if kind is PackedKind.INT4:
        codes = torch.tensor(INT4_CODES, dtype=torch.int8)
        values = codes[torch.randint(0, 16, (rows, columns), generator=generator)]
    else:
        values = torch.randint(-127, 128, (rows, columns), generator=generator, dtype=torch.int8)
    scales = torch.randn(rows, groups, generator=generator).bfloat16()
    packed = pack(kind, ScaledValues(values, scales))
    assert tuple(packed.shape) == packed_shape(kind, rows, columns)
    assert packed_kind(packed.shape, packed.dtype) is kind
    back = unpack(packed, rows, columns)
    assert torch.equal(back.values, values)
    assert torch.equal(back.scales, scales)


@pytest.mark.parametrize("kind", PackedKind)
def test_rounding_error_is_what_the_format_promises(kind: PackedKind) -> None:
    weight = torch.randn(256, 512, generator=torch.Generator().manual_seed(0)) * 0.02
    packed = quantise(weight, kind)
    restored = dequantise(packed.data, 256, 512, torch.float32)
    relative = float((restored - weight).norm() / weight.norm())
    assert relative < LARGEST_ERROR[kind]
    assert packed.squares == pytest.approx(float(weight.double().square().sum()), rel=1e-5)
    measured = (packed.squared_error / packed.squares) ** 0.5
    assert measured == pytest.approx(relative, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", PackedKind)
@settings(max_examples=25, deadline=None)
@given(sizes, sizes, st.integers(0, 2**31))
def test_compiled_rounding_equals_torch(
    kind: PackedKind, dtype: torch.dtype, rows: int, columns: int, seed: int
) -> None:
    if not kernels.available():
        pytest.skip("the kernels were not built")
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator).to(dtype)
    weight[0, :2] = 0.0
    expected = pack(kind, round_weight(weight, kind))
    restored = dequantise(quantise(weight, kind).data, rows, columns, torch.float32)
    reference = dequantise(expected, rows, columns, torch.float32)
    # Two scales may tie within rounding of the error sums: then both are as good.
    errors = ((restored - weight.float()).norm(), (reference - weight.float()).norm())
    assert float(errors[0]) == pytest.approx(float(errors[1]), rel=1e-5)
    assert (restored != reference).float().mean() <= 0.02


BYTES = {PackedKind.INT4: "051bec098877ceab", PackedKind.INT8: "a8ca3cdf1f3d726e"}


@pytest.mark.parametrize("path", ["scalar", "avx2", "avx512-vnni"])
@pytest.mark.parametrize("kind", PackedKind)
def test_the_bytes_of_copies_never_change(kind: PackedKind, path: str) -> None:
    """Whatever the path, a weight is packed as the first release of the format packed it."""
    before = kernels.kernel_name()
    if not kernels.use_kernels(path):
        pytest.skip(f"this machine does not run the {path} kernels")
    numbers = torch.arange(150 * 700, dtype=torch.int64)
    spread = ((numbers * 1103515245 + 12345) % 65521 - 32760).double() / 9000
    weight = (spread**3).float().view(150, 700)
    found = hashlib.sha256()
    for dtype in (torch.float32, torch.bfloat16):
        found.update(quantise(weight.to(dtype), kind).data.numpy().tobytes())
    kernels.use_kernels(before)
    assert found.hexdigest()[:16] == BYTES[kind]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", PackedKind)
def test_weights_that_are_not_finite_are_refused(kind: PackedKind, value: float) -> None:
    weight = torch.ones(20, 40)
    weight[17, 33] = value
    with pytest.raises(ValueError, match="infinities or NaN"):
        quantise(weight, kind)
    with pytest.raises(ValueError, match="infinities or NaN"):
        round_weight(weight, kind)


def test_zero_weights_stay_zero() -> None:
    for kind in PackedKind:
        packed = quantise(torch.zeros(33, 65), kind)
        assert not dequantise(packed.data, 33, 65).any()


def test_a_wrong_shape_is_refused() -> None:
    packed = quantise(torch.ones(16, 64), PackedKind.INT4).data
    with pytest.raises(ValueError, match="not a packed weight"):
        unpack(packed, 17, 64)
