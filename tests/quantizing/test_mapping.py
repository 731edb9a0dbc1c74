"""Weights of a copy are mapped from its files and not touched before they are needed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from deepseek_vl_v2.quantized_loading import map_tensors
from dvl2_cli.benchmarking.resident import resident


def test_views_hold_what_the_file_does(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    kept = {
        "packed": torch.randint(0, 256, (2, 3, 576), dtype=torch.uint8, generator=generator),
        # Moves what comes after it off the even addresses.
        "odd": torch.arange(3, dtype=torch.uint8),
        "norm": torch.randn(7, generator=generator).bfloat16(),
        "bias": torch.randn(4, 5, generator=generator),
        "half": torch.randn(5, generator=generator).half(),
        "count": torch.tensor([5, 6]),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5),
    }
    save_file(kept, tmp_path / "model.safetensors")
    found = map_tensors(tmp_path)
    assert found.keys() == kept.keys()
    for key, tensor in load_file(tmp_path / "model.safetensors").items():
        torch.testing.assert_close(found[key], tensor, rtol=0, atol=0)


def test_a_type_that_no_copy_holds_is_named(tmp_path: Path) -> None:
    save_file({"wide": torch.zeros(2, dtype=torch.float64)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"wide in .* is of type F64"):
        map_tensors(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_mapping_leaves_the_pages_on_the_disk(tmp_path: Path) -> None:
    size, count = 256 * 1024, 256
    weights = {str(i): torch.full((size,), i, dtype=torch.uint8) for i in range(count)}
    save_file(weights, tmp_path / "model.safetensors")
    del weights
    before = resident()
    found = map_tensors(tmp_path)
    # A page touched brings 64 KB with it: 16 MB, had every tensor been looked at.
    assert resident() - before < 6e6
    assert all(int(found[str(i)][-1]) == i for i in range(count))
    assert resident() - before > 10e6
