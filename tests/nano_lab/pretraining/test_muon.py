"""The batched Muon makes torch's steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nano_lab.pretraining.muon import BatchedMuon, orthogonalise

SHAPES = ((24, 40), (40, 24), (32, 32), (24, 40))
OPTIONS: dict[str, Any] = {
    "lr": 0.02,
    "weight_decay": 0.1,
    "momentum": 0.9,
    "adjust_lr_fn": "match_rms_adamw",
}


def test_steps_are_those_of_torch_up_to_its_bfloat16() -> None:
    generator = torch.Generator().manual_seed(0)
    theirs = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    ours = [torch.nn.Parameter(p.detach().clone()) for p in theirs]
    first = [p.detach().clone() for p in theirs]
    optimizers = (torch.optim.Muon(theirs, **OPTIONS), BatchedMuon(ours, **OPTIONS))
    for _ in range(3):
        for their, our in zip(theirs, ours, strict=True):
            their.grad = torch.randn(their.shape, generator=generator)
            our.grad = their.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for their, our, start in zip(theirs, ours, first, strict=True):
        moved = (their - start).detach().norm()
        assert float(moved) > 0.1
        assert float((their - our).detach().norm() / moved) < 0.02


def test_a_matrix_without_a_gradient_stays() -> None:
    still, moving = (torch.nn.Parameter(torch.ones(8, 8)) for _ in range(2))
    moving.grad = torch.eye(8)
    BatchedMuon([still, moving], **OPTIONS).step()
    assert bool((still == 1).all())
    assert not bool((moving == 1).all())


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_move_to_about_one(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1)) * 5
    values = torch.linalg.svdvals(orthogonalise(matrices))
    # The iteration ends anywhere between 0.5 and 1.5; it is not meant to converge.
    assert float(values.min()) > 0.3
    assert float(values.max()) < 1.3
    again = torch.linalg.svdvals(orthogonalise(matrices * 1e-3))
    torch.testing.assert_close(again, values, rtol=1e-3, atol=1e-3)
