import json
from pathlib import Path

import pytest

from dvl2_cli.benchmarking import random_copy
from dvl2_cli.store.checkpoint import check_checkpoint
from tests.benchmarking.conftest import GOLDEN


def test_the_copy_is_a_sound_checkpoint(copy: Path) -> None:
    info = check_checkpoint(copy)
    assert info.quant_method == "dvl2"
    files = sum(path.stat().st_size for path in copy.glob("*.safetensors"))
    assert files == pytest.approx(info.nbytes, rel=0.2)


def test_the_copy_runs_with_finite_and_varied_logits(copy: Path) -> None:
    import torch

    from deepseek_vl_v2.quantized_loading import load_quantized

    model = load_quantized(copy)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[1, 2, 3]])).logits
    assert torch.isfinite(logits).all()
    assert logits.std() > 0.01


def test_no_two_matrices_of_a_kind_are_alike(copy: Path) -> None:
    # Alike layers make all tokens alike, and then a prompt asks for few experts.
    starts = {}
    for path in copy.glob("*.safetensors"):
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(size))
            for key, entry in header.items():
                if "gate_up" in key or "down_proj" in key:
                    stream.seek(8 + size + entry["data_offsets"][0])
                    starts[key] = stream.read(512)
    assert len(starts) > 10
    assert len(set(starts.values())) == len(starts)


def test_the_same_seed_gives_the_same_files(copy: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    random_copy.write_random_copy("tiny", again, companions=GOLDEN)
    for path in copy.glob("*.safetensors"):
        assert path.read_bytes() == (again / path.name).read_bytes()
