"""The training form of the forward pass: loss, balance, gradients, bias update."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.decoder import next_token_loss
from deepseek_vl_v2.moe import MixtureOfExperts, Routing, balance_loss
from tests import golden_data as golden


@pytest.fixture(params=golden.CHECKPOINTS)
def trainee(request: pytest.FixtureRequest) -> tuple[DeepseekVLV2ForCausalLM, dict[str, Tensor]]:
    checkpoint: str = request.param
    processor = golden.processor(checkpoint)
    samples = [golden.processed(checkpoint, name) for name in ("p10_train", "p01_text")]
    model = copy.deepcopy(golden.model(checkpoint))
    model.train()
    return model, dict(processor.batchify(samples, "right"))


def test_loss_is_next_token_cross_entropy() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 7)
    labels = torch.randint(0, 7, (2, 5))
    labels[0, :3] = -100
    kept = [(b, t) for b in range(2) for t in range(4) if labels[b, t + 1] != -100]
    expected = torch.stack([-logits[b, t].log_softmax(-1)[labels[b, t + 1]] for b, t in kept])
    assert torch.allclose(next_token_loss(logits, labels), expected.mean())


def test_gradients_reach_every_part(
    trainee: tuple[DeepseekVLV2ForCausalLM, dict[str, Tensor]],
) -> None:
    model, batch = trainee
    out = model(**batch)
    out.loss.backward()
    unused = {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    }
    # The pooling head is part of the format only, an expert may get no token, and the
    # correction bias takes part in the choice alone.
    spared = ("attn_pool", ".experts.", "e_score_correction_bias")
    assert all(any(part in name for part in spared) for name in unused)
    routed = [
        parameter.grad
        for name, parameter in model.named_parameters()
        if ".experts." in name and parameter.grad is not None
    ]
    assert any(float(gradient.abs().sum()) > 0 for gradient in routed)
    gates = [p.grad for n, p in model.named_parameters() if n.endswith("mlp.gate.weight")]
    assert all(grad is not None and float(grad.abs().sum()) > 0 for grad in gates)


def test_one_step_lowers_the_loss(
    trainee: tuple[DeepseekVLV2ForCausalLM, dict[str, Tensor]],
) -> None:
    model, batch = trainee
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(4):
        out = model(**batch)
        losses.append(out.loss.item())
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]


def test_loss_holds_the_weighted_balance_loss(
    trainee: tuple[DeepseekVLV2ForCausalLM, dict[str, Tensor]],
) -> None:
    model, batch = trainee
    out = model(**batch)
    plain = next_token_loss(out.logits, batch["labels"])
    alpha = model.config.language.aux_loss_alpha
    assert torch.allclose(out.loss, plain + alpha * out.aux_loss)
    model.train(False)
    assert model(**batch).aux_loss is None


def test_balance_loss_is_one_when_balanced_and_more_when_not() -> None:
    experts = torch.arange(8).view(8, 1).repeat(2, 1)
    even = Routing(experts, torch.ones(16, 1), torch.full((16, 8), 1 / 8))
    assert torch.allclose(balance_loss(even, 2, None), torch.tensor(1.0))
    skewed = torch.full((16, 8), 0.01)
    skewed[:, 0] = 0.93
    uneven = Routing(torch.zeros(16, 1, dtype=torch.long), torch.ones(16, 1), skewed)
    assert float(balance_loss(uneven, 2, None)) > 5


def test_padding_does_not_count_for_balance() -> None:
    torch.manual_seed(1)
    affinities = torch.rand(6, 4)
    experts = affinities.topk(2).indices
    padded = Routing(
        torch.cat([experts, experts[:2]]),
        torch.ones(8, 2),
        torch.cat([affinities, torch.rand(2, 4)]),
    )
    alone = balance_loss(Routing(experts, torch.ones(6, 2), affinities), 1, None)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 0, 0]])
    assert torch.allclose(balance_loss(padded, 1, mask), alone)


def test_bias_update_moves_towards_balance() -> None:
    model = copy.deepcopy(golden.model("mla-sigmoid"))
    model.train()
    router = model.language.model.routers()[0]
    before = router.e_score_correction_bias.clone()
    torch.manual_seed(0)
    router(torch.randn(200, 64))
    load = router.expert_load.clone()
    assert int(load.sum()) == 200 * router.top_k
    router.update_bias(0.01)
    moved = router.e_score_correction_bias - before
    assert torch.allclose(moved, 0.01 * (load.mean() - load).sign())
    assert not router.expert_load.any()


@torch.no_grad()
def test_grouped_experts_equal_one_token_at_a_time() -> None:
    layer = golden.model("mla-sigmoid").language.model.layers[1].mlp
    assert isinstance(layer, MixtureOfExperts)
    torch.manual_seed(0)
    hidden = torch.randn(1, 20, 64)
    together = layer(hidden)
    singly = torch.cat([layer(hidden[:, i : i + 1]) for i in range(20)], dim=1)
    assert torch.allclose(together, singly, atol=2e-6)
