from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.experts_cache import ExpertsCache, bytes_of_expert, offload_experts

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoints"
CPU = torch.device("cpu")


def model(name: str) -> DeepseekVLV2ForCausalLM:
    loaded = DeepseekVLV2ForCausalLM.from_pretrained(GOLDEN / name, dtype=torch.float32)
    return loaded.eval()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["mha", "mla-sigmoid"])
@pytest.mark.parametrize("capacity", [1, 5, 100])
def test_answers_are_the_same_with_few_experts_on_the_device(name: str, capacity: int) -> None:
    plain, cached = model(name), model(name)
    cache = offload_experts(cached.language.model.layers, CPU, capacity)
    ids = torch.tensor([[3, 14, 15, 92, 65, 35]])
    with torch.inference_mode():
        expected = plain(input_ids=ids).logits
        found = cached(input_ids=ids).logits
        # Mapped and copied weights are aligned differently, which changes the order of sums.
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
        step = torch.tensor([[7]])
        expected, found = plain(input_ids=step).logits, cached(input_ids=step).logits
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    assert cache.counts.misses > 0


def test_what_was_guessed_right_is_not_fetched_again() -> None:
    cached = model("mha")
    cache = offload_experts(cached.language.model.layers, CPU, 12)
    with torch.inference_mode():
        for token in range(20):
            cached(input_ids=torch.tensor([[token]]))
    assert 0 < cache.counts.prefetched_used <= cache.counts.prefetched


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=40), st.integers(1, 9))
def test_the_least_recently_used_expert_leaves(order: list[int], capacity: int) -> None:
    cache = ExpertsCache(CPU, capacity, torch.nn.Linear(1, 1, bias=False))
    for number in range(8):
        expert = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(expert.weight, float(number))
        cache.add((0, number), expert)
    recent: list[int] = []
    misses = 0
    for number in order:
        misses += number not in recent
        recent = [*(item for item in recent if item != number), number][-capacity:]
        slot = cache.get((0, number))
        assert isinstance(slot, torch.nn.Linear)
        assert slot.weight.item() == number
    assert cache.counts.misses == misses


def test_an_experts_bytes_are_its_three_matrices() -> None:
    assert bytes_of_expert(model("mha").language.model.layers) == 3 * 64 * 40 * 4


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        offload_experts(model("mha").language.model.layers, CPU, 0)
