from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.kernels.dense import gelu_tanh, merged_attention

# Half a unit in the last of bfloat16's 8 bits, for shares, values and the result.
ROUNDING = 3 * 2**-8


@pytest.fixture(params=["scalar", "avx2", "avx512-vnni"])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = kernels.kernel_name()
    if not kernels.use_kernels(request.param):
        pytest.skip(f"this machine does not run the {request.param} kernels")
    yield request.param
    kernels.use_kernels(before)


def exact(query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool) -> Tensor:
    scores = query.double() @ key.double().transpose(-1, -2) * scale
    if causal:
        seen = torch.ones(scores.shape[-2:]).tril(scores.shape[-1] - scores.shape[-2])
        scores = scores.masked_fill(seen == 0, float("-inf"))
    return (scores.softmax(-1) @ value.double()).transpose(1, 2).flatten(2)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(0, 150),
    st.integers(1, 40),
    st.integers(1, 90),
    st.booleans(),
    st.sampled_from([torch.bfloat16, torch.float32]),
    st.integers(0, 2**31),
)
def test_attention_equals_the_definition(
    count: int,
    heads: int,
    length: int,
    earlier: int,
    half_width: int,
    value_width: int,
    causal: bool,
    dtype: torch.dtype,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def draw(positions: int, width: int) -> Tensor:
        # Positions before heads in memory, as a fused projection leaves them.
        drawn = torch.randn(count, positions, heads, width, generator=generator)
        return drawn.bfloat16().transpose(1, 2)

    query = draw(length, 2 * half_width)
    key, value = draw(length + earlier, 2 * half_width), draw(length + earlier, value_width)
    mixed = merged_attention(query, key, value, causal=causal, dtype=dtype)
    assert mixed.dtype is dtype
    expected = exact(query, key, value, query.shape[-1] ** -0.5, causal)
    assert mixed.shape == expected.shape
    assert float((mixed - expected).abs().max()) <= ROUNDING * float(value.abs().max())


@pytest.mark.parametrize("causal", [False, True])
def test_every_instruction_set_attends_alike(instruction_set: str, causal: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    query, key = (torch.randn(2, 4, 65, 24, generator=generator).bfloat16() for _ in range(2))
    value = torch.randn(2, 4, 65, 16, generator=generator).bfloat16()
    mixed = merged_attention(query, key, value, causal=causal, scale=0.7)
    expected = exact(query, key, value, 0.7, causal)
    assert float((mixed - expected).abs().max()) <= ROUNDING * float(value.abs().max())


def test_scores_far_apart_do_not_overflow() -> None:
    query = torch.full((1, 1, 8, 16), 100.0).bfloat16()
    key = torch.linspace(-50, 50, 80).view(1, 1, 80, 1).expand(1, 1, 80, 16).bfloat16()
    value = torch.arange(80.0).view(1, 1, 80, 1).expand(1, 1, 80, 4).bfloat16()
    mixed = merged_attention(query, key.contiguous(), value.contiguous())
    assert torch.equal(mixed, torch.full((1, 8, 4), 79.0).bfloat16())


def test_float32_and_training_go_through_torch() -> None:
    parts = [torch.randn(1, 2, 5, 8, requires_grad=True) for _ in range(3)]
    mixed = merged_attention(parts[0], parts[1], parts[2])
    mixed.sum().backward()
    assert all(part.grad is not None for part in parts)
    halves = [part.detach().bfloat16().requires_grad_() for part in parts]
    merged_attention(halves[0], halves[1], halves[2], causal=True).sum().backward()
    assert all(half.grad is not None for half in halves)
    plain = torch.randn(7, 9)
    assert torch.equal(gelu_tanh(plain.clone()), functional.gelu(plain, approximate="tanh"))


def test_gelu_is_the_nearest_bfloat16_or_its_neighbour(instruction_set: str) -> None:
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(torch.bfloat16)
    finite = every[every.isfinite() & (every.abs() < 1e30)]
    expected = functional.gelu(finite.double(), approximate="tanh")
    got = gelu_tanh(finite.clone()).double()
    # Below -5 the value is smaller than a rounding of 1 - tanh: there it only has to vanish.
    allowed = torch.where(finite.double() < -5, 1e-4, expected.abs() * 2**-7 + 1e-38)
    assert bool(((got - expected).abs() <= allowed).all())
    odd = torch.randn(3, 37).bfloat16()
    assert gelu_tanh(odd.clone()).shape == odd.shape
