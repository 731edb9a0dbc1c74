"""Weights that do not all lie where the model runs; the CPU stands in for the accelerator."""

from __future__ import annotations

import copy

import pytest
import torch
from accelerate import cpu_offload

from deepseek_vl_v2.experts_cache import CachedExperts
from dvl2_cli.engine.local.offloading import place
from tests import golden_data

CPU = torch.device("cpu")
TILES = torch.linspace(-1, 1, 3 * 3 * 384 * 384).view(3, 3, 384, 384).sin()


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_experts_that_find_no_room_are_fetched(share: float) -> None:
    placed = copy.deepcopy(golden_data.model("mla-sigmoid"))
    place(placed, CPU, share)
    ids = torch.tensor([[3, 14, 15, 92, 65, 35]])
    with torch.inference_mode():
        expected = golden_data.model("mla-sigmoid")(input_ids=ids).logits
        # Mapped and copied weights are aligned differently, which changes the order of sums.
        torch.testing.assert_close(placed(input_ids=ids).logits, expected, atol=2e-5, rtol=0)
    fetched = any(isinstance(part, CachedExperts) for part in placed.modules())
    assert fetched == (share < 1)


@pytest.mark.parametrize("name", ["mha", "mla"])
def test_accelerates_offloading_brings_every_weight_of_the_tower(name: str) -> None:
    plain = golden_data.model(name)
    offloaded = copy.deepcopy(plain)
    cpu_offload(offloaded.vision, execution_device=CPU)
    with torch.inference_mode():
        torch.testing.assert_close(offloaded.vision(TILES), plain.vision(TILES))
