"""Experts joined to one layer are the same experts."""

from __future__ import annotations

import copy
from typing import cast

import pytest
import torch
from torch import nn

from deepseek_vl_v2.moe import GatedMlp, MixtureOfExperts, Routing, sum_routed_experts
from nano_lab.pretraining import joined_experts
from nano_lab.pretraining.joined_experts import (
    can_be_joined,
    sum_joined_experts,
    use_joined_experts,
)
from tests import golden_data as golden


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
def test_experts_trained_as_one_layer_are_the_same_experts(checkpoint: str) -> None:
    model = copy.deepcopy(golden.model(checkpoint)).train()
    layer = next(m for m in model.modules() if isinstance(m, MixtureOfExperts))
    hidden = torch.randn(7, layer.gate.weight.shape[1])
    routing = layer.gate(hidden)
    results = []
    for joined in (False, True):
        layer.zero_grad()
        if joined:
            out = sum_joined_experts(layer.experts, hidden, routing)
        else:
            out = sum_routed_experts(layer.experts, hidden, routing, True)
        out.square().sum().backward(retain_graph=True)
        gradients = [p.grad for p in layer.experts.parameters() if p.grad is not None]
        results.append((out.detach(), torch.stack([g.square().sum() for g in gradients]).sum()))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=0)


def test_adapted_experts_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    model = copy.deepcopy(golden.model("mla"))
    layer = next(m for m in model.modules() if isinstance(m, MixtureOfExperts)).train()
    joined: list[int] = []
    monkeypatch.setattr(joined_experts, "sum_joined_experts", lambda *_: joined.append(1))
    monkeypatch.setattr(joined_experts, "sum_routed_experts", lambda *_: joined.append(0))
    use_joined_experts(model)
    hidden = torch.zeros(1, layer.gate.weight.shape[1], device="meta")
    routing = Routing(hidden, hidden, hidden)
    layer.sum_experts(layer.experts, hidden, routing, True)
    layer.sum_experts(layer.experts, hidden, routing, False)
    layer.sum_experts(layer.experts, torch.zeros(1, 1), routing, True)
    monkeypatch.setattr(joined_experts, "MAX_JOINED_WIDTH", 1)
    layer.sum_experts(layer.experts, hidden, routing, True)
    monkeypatch.undo()
    assert joined == [1, 0, 0, 0]
    assert can_be_joined(layer.experts)
    expert = cast(GatedMlp, layer.experts[0])
    expert.up_proj = cast(nn.Linear, nn.Sequential(expert.up_proj))
    assert not can_be_joined(layer.experts)
