from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from nano_lab.pretraining.block_sparse_attention import (
    BlockSparseAttention,
    block_sparse_attention,
    blocks_of,
    score_count,
    use_block_sparse_attention,
)
from tests import golden_data as golden


def heads(batch: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    query, key = (torch.randn(batch, 2, length, 12).requires_grad_() for _ in range(2))
    return query, key, torch.randn(batch, 2, length, 8).requires_grad_()


def branched(length: int, shared: int, branch: int) -> Tensor:
    """A mask of rows whose first tokens all see, and whose branches do not see each other."""
    numbers = (torch.arange(length) - shared).clamp(min=-1) // branch + 1
    same = (numbers[:, None] == numbers) | (numbers == 0)
    return (same & torch.ones(length, length, dtype=torch.bool).tril())[None, None]


def check(mask: Tensor | None, batch: int, length: int) -> None:
    mine = heads(batch, length)
    found = block_sparse_attention(*mine, blocks_of(mask, length), 0.3)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    theirs = heads(batch, length)
    expected = functional.scaled_dot_product_attention(
        *theirs, attn_mask=mask, is_causal=mask is None, scale=0.3
    )
    (expected * weights).sum().backward()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    for own, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(own.grad, other.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 63, 256, 257, 600])
def test_causal_rows_are_as_torch_has_them(length: int) -> None:
    check(None, 2, length)


@settings(max_examples=15, deadline=None)
@given(length=st.integers(2, 700), shared=st.integers(1, 300), branch=st.integers(1, 200))
def test_branches_are_as_torch_has_them(length: int, shared: int, branch: int) -> None:
    mask = branched(length, shared, branch).expand(2, -1, -1, -1)
    check(mask, 2, length)


def test_rows_of_a_batch_may_see_different_keys() -> None:
    check(torch.cat([branched(500, 100, 60), branched(500, 200, 90)]), 2, 500)


def test_what_no_query_sees_is_not_computed() -> None:
    whole = score_count(blocks_of(torch.ones(1, 1, 1024, 1024, dtype=torch.bool), 1024))
    causal = score_count(blocks_of(None, 1024))
    apart = score_count(blocks_of(branched(1024, 64, 64), 1024))
    assert whole == 1024 * 1024
    assert causal < 0.7 * whole
    assert apart < 0.6 * causal


def test_another_mask_has_other_blocks() -> None:
    for shared in (64, 256):
        mask = branched(512, shared, 64)
        assert blocks_of(mask, 512) is blocks_of(mask, 512)
        assert score_count(blocks_of(mask, 512)) == score_count(blocks_of(mask.clone(), 512))
    assert score_count(blocks_of(branched(512, 256, 64), 512)) > score_count(
        blocks_of(branched(512, 64, 64), 512)
    )


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
def test_attention_is_the_same_with_gradients_and_without(checkpoint: str, packed: bool) -> None:
    model = copy.deepcopy(golden.model(checkpoint)).train()
    use_block_sparse_attention(model)
    assert any(isinstance(module, BlockSparseAttention) for module in model.modules())
    decoder = model.language.model
    states = torch.randn(2, 12, decoder.config.hidden_size)
    mask = torch.ones(12, 12, dtype=torch.bool).tril().expand(2, 1, 12, 12).clone()
    mask[:, :, 6:, 1:4] = False
    arguments = {"attention_mask": mask if packed else None, "use_cache": False}
    trained = decoder(inputs_embeds=states.clone().requires_grad_(), **arguments)
    with torch.no_grad():
        asked = decoder(inputs_embeds=states, **arguments)
    assert torch.allclose(trained.last_hidden_state, asked.last_hidden_state, atol=1e-5)
