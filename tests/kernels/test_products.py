from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.quantized_format import PackedKind, dequantise
from deepseek_vl_v2.quantized_linear import (
    QuantizedHead,
    QuantizedLinear,
    packed_product,
    rounded_activations,
)
from deepseek_vl_v2.quantized_rounding import quantise

INSTRUCTION_SETS = ("scalar", "avx2", "avx512-vnni")


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(kernels.SWITCH, "0")
    kernels.load_library.cache_clear()
    yield
    kernels.load_library.cache_clear()


def use(name: str) -> None:
    if not kernels.use_kernels(name):
        pytest.skip(f"this machine does not run the {name} kernels")


@pytest.fixture(autouse=True)
def best_kernels_again() -> Iterator[None]:
    before = kernels.kernel_name()
    yield
    kernels.use_kernels(before)


@pytest.mark.parametrize("name", INSTRUCTION_SETS)
@pytest.mark.parametrize("kind", PackedKind)
@settings(max_examples=25, deadline=None)
@example(46, 100, 35, 1897, False)  # an activation half way between two steps
@given(
    st.integers(1, 100),
    st.integers(1, 200),
    st.integers(1, 40),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_products_equal_torch(
    kind: PackedKind, name: str, rows: int, columns: int, count: int, seed: int, biased: bool
) -> None:
    use(name)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator)
    states = torch.randn(count, columns, generator=generator) * 10
    bias = torch.randn(rows, generator=generator) if biased else None
    packed = quantise(weight, kind).data
    out = packed_product(packed, rows, states, bias)
    exact = functional.linear(
        rounded_activations(states).double(),
        dequantise(packed, rows, columns, torch.float32).double(),
        None if bias is None else bias.double(),
    )
    # Sums in float32: a few roundings of the largest term, and of the bias.
    largest = states.abs().max() * weight.abs().max()
    scale = largest * columns + (0 if bias is None else bias.abs().max())
    assert float((out - exact).abs().max() / scale) < 1e-6


@pytest.mark.usefixtures("without_kernels")
@pytest.mark.parametrize("kind", PackedKind)
def test_the_fallback_gives_the_same_answers(
    kind: PackedKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(3)
    weight, states = (torch.randn(70, 130, generator=generator) for _ in range(2))
    packed = quantise(weight, kind).data
    assert kernels.kernel_name() == "torch"
    slow = packed_product(packed, 70, states, None)
    monkeypatch.delenv(kernels.SWITCH)
    kernels.load_library.cache_clear()
    if not kernels.available():
        pytest.skip("the kernels were not built")
    fast = packed_product(packed, 70, states, None)
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-5)


def test_a_layer_keeps_shape_and_dtype() -> None:
    packed = quantise(torch.randn(48, 96), PackedKind.INT8).data
    layer = QuantizedLinear(packed, 48, 96, torch.randn(48).bfloat16())
    out = layer(torch.randn(2, 3, 96).bfloat16())
    assert out.shape == (2, 3, 48)
    assert out.dtype is torch.bfloat16
    assert "48" in repr(layer)


def test_a_weight_of_the_wrong_shape_is_refused() -> None:
    packed = quantise(torch.randn(48, 96), PackedKind.INT8).data
    with pytest.raises(ValueError, match="not a packed weight"):
        QuantizedLinear(packed, 64, 96)


def test_the_head_ranks_the_top_exactly() -> None:
    generator = torch.Generator().manual_seed(5)
    rows = torch.randn(3000, 64, generator=generator)
    states = torch.randn(6, 64, generator=generator)
    head = QuantizedHead(quantise(rows, PackedKind.INT4).data, rows)
    logits, exact = head(states), states @ rows.T
    assert torch.equal(logits.argmax(1), exact.argmax(1))
    refined = (logits - exact).abs() < 1e-4
    for row in range(len(states)):
        top = exact[row].topk(3).indices
        assert refined[row, top].all()
    # Most rows are only estimated: that is what saves reading them.
    assert refined.float().mean() < 0.05
