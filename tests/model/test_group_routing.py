"""Routing within groups of experts, held to the formulas of the papers.

DeepSeek-V3 (arXiv 2412.19437, section 2.1.2): affinity s_i = sigmoid(u · e_i); the choice is made
by s_i + b_i, among the experts of the best groups (DeepSeek-V2, arXiv 2405.04434, section 2.2.2),
where a group is as good as its two best experts together; the gate is s_i over the sum of the
chosen, times the scaling factor.
"""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2TextConfig
from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.moe import Router
from deepseek_vl_v2.native_decoder import NativeDecoder
from dvl2_cli.engine.local.decoder import OneSequence
from tests import golden_data as golden


def routed(
    hidden: list[float],
    centroids: list[list[float]],
    bias: list[float],
    *,
    groups: int,
    kept: int,
    chosen: int,
    scale: float,
    renormalised: bool,
) -> dict[int, float]:
    """Expert to gate, by the formulas, in double precision."""
    affinity = [
        1 / (1 + math.exp(-math.fsum(u * e for u, e in zip(hidden, centroid, strict=True))))
        for centroid in centroids
    ]
    biased = [s + b for s, b in zip(affinity, bias, strict=True)]
    size = len(centroids) // groups
    members = [range(group * size, (group + 1) * size) for group in range(groups)]
    worth = [sum(sorted((biased[i] for i in own), reverse=True)[:2]) for own in members]
    best = sorted(range(groups), key=lambda group: -worth[group])[:kept]
    allowed = [expert for group in best for expert in members[group]]
    experts = sorted(allowed, key=lambda expert: -biased[expert])[:chosen]
    total = sum(affinity[expert] for expert in experts) if renormalised and chosen > 1 else 1.0
    return {expert: affinity[expert] / total * scale for expert in experts}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([(2, 1), (2, 2), (4, 1), (4, 2), (4, 3), (8, 4)]),
    st.integers(1, 2),
    st.booleans(),
)
def test_groups(seed: int, groups: tuple[int, int], chosen: int, renormalised: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    config = DeepseekVLV2TextConfig(
        hidden_size=8,
        n_routed_experts=16,
        num_experts_per_tok=chosen,
        n_group=groups[0],
        topk_group=groups[1],
        topk_method="noaux_tc",
        scoring_func="sigmoid",
        norm_topk_prob=renormalised,
        routed_scaling_factor=2.5,
    )
    router = Router(config).eval()
    with torch.no_grad():
        router.weight.copy_(torch.randn(16, 8, generator=generator))
        # Not negative: upstream sets the scores of dropped groups to zero, and below that an
        # expert of theirs may win, which the formulas do not let it.
        router.e_score_correction_bias.copy_(torch.rand(16, generator=generator))
        hidden = torch.randn(5, 8, generator=generator)
        routing = router(hidden)
    for row, token in enumerate(hidden.tolist()):
        expected = routed(
            token,
            router.weight.tolist(),
            router.e_score_correction_bias.tolist(),
            groups=groups[0],
            kept=groups[1],
            chosen=chosen,
            scale=2.5,
            renormalised=renormalised,
        )
        experts = routing.experts[row].tolist()
        assert set(experts) == set(expected)
        for expert, weight in zip(experts, routing.weights[row].tolist(), strict=True):
            assert weight == pytest.approx(expected[expert], rel=1e-5)


@pytest.mark.skipif(not kernels.available(), reason="the kernels were not built")
@pytest.mark.parametrize(("groups", "kept"), [(2, 1), (4, 2)])
@torch.inference_mode()
def test_the_compiled_decoder_routes_alike(groups: int, kept: int) -> None:
    config = copy.deepcopy(golden.model("mla-sigmoid").config)
    config.language.n_group, config.language.topk_group = groups, kept
    config.language.num_experts_per_tok = 2
    model = DeepseekVLV2ForCausalLM(config)
    model.train(False)
    model.load_state_dict(golden.model("mla-sigmoid").state_dict())
    ids = torch.randint(5, 1000, (1, 20), generator=torch.Generator().manual_seed(1))
    expected = model.language(input_ids=ids).logits[0]
    assert not torch.allclose(expected, golden.model("mla-sigmoid").language(input_ids=ids).logits)
    decoder = OneSequence(NativeDecoder(model), 32)
    found = decoder.prefill(model.embed(ids))
    assert torch.allclose(found, expected[-1], atol=1e-4)
    decoder.crop(10)
    stepped = decoder.verify(ids[0, 10:14].tolist())
    assert torch.allclose(stepped, expected[10:14], atol=1e-4)
