from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepseek_vl_v2.format.architecture import read_architecture
from deepseek_vl_v2.format.tensors import expected_tensors
from dvl2_cli.errors import ModelError
from dvl2_cli.store.checkpoint import check_checkpoint, examine
from tests.store.tiny_checkpoint import (
    read_raw_safetensors,
    tiny_config,
    write_checkpoint,
    write_json,
    write_raw_safetensors,
    write_safetensors,
)

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
VARIANTS: dict[str, dict[str, Any]] = {
    "mla": {},
    "mha": {"use_mla": False, "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 0},
    "q-lora": {"q_lora_rank": 24, "attention_bias": True},
    "sigmoid": {"topk_method": "noaux_tc", "scoring_func": "sigmoid"},
    "dense": {"n_routed_experts": None, "num_experts_per_tok": None, "topk_method": None},
    "sparse": {"num_hidden_layers": 5, "moe_layer_freq": 2, "n_shared_experts": None},
}


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    write_json(path, content)


def edit_header(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    header, data = read_raw_safetensors(path)
    change(header)
    write_raw_safetensors(path, header, data)


def fault(folder: Path) -> str:
    """The one line that the user would read, remedy included."""
    with pytest.raises(ModelError) as caught:
        check_checkpoint(folder)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    return f"{caught.value.message} | {caught.value.hint}"


@pytest.mark.parametrize("name", ["mha", "mla", "mla-sigmoid"])
def test_golden_checkpoints_pass(golden: Callable[[str], Path], name: str) -> None:
    folder = golden(name)
    info = check_checkpoint(folder)
    assert info.quant_method is None
    stored = sum(tensor.elements for tensor in info.tensors.values())
    pool = sum(t.elements for key, t in info.tensors.items() if key.startswith("vision.attn_pool"))
    assert info.parameters == stored - pool
    assert 0 < info.active_parameters < info.parameters


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shards", [1, 3])
def test_every_variant_passes(tmp_path: Path, variant: str, shards: int) -> None:
    info = check_checkpoint(write_checkpoint(tmp_path / "m", shards=shards, **VARIANTS[variant]))
    assert info.nbytes == 2 * sum(tensor.elements for tensor in info.tensors.values())


def test_a_variant_is_not_another(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(folder / "config.json", lambda c: c["language_config"].update(use_mla=False))
    assert "lacks language.model.layers.0.self_attn.k_proj.weight" in fault(folder)


@pytest.mark.parametrize(
    ("language", "billions"),
    [
        (
            {
                "vocab_size": 129280,
                "hidden_size": 1280,
                "intermediate_size": 6848,
                "moe_intermediate_size": 896,
                "num_hidden_layers": 12,
                "num_attention_heads": 10,
                "num_key_value_heads": 10,
                "n_routed_experts": 64,
                "n_shared_experts": 2,
                "num_experts_per_tok": 6,
                "use_mla": False,
            },
            3.37,
        ),
        (
            {
                "vocab_size": 102400,
                "hidden_size": 2048,
                "intermediate_size": 10944,
                "moe_intermediate_size": 1408,
                "num_hidden_layers": 27,
                "num_attention_heads": 16,
                "num_key_value_heads": 16,
                "n_routed_experts": 64,
                "n_shared_experts": 2,
                "num_experts_per_tok": 6,
                "kv_lora_rank": 512,
                "qk_nope_head_dim": 128,
                "qk_rope_head_dim": 64,
                "v_head_dim": 128,
            },
            16.1,
        ),
    ],
)
def test_released_sizes_add_up(language: dict[str, Any], billions: float) -> None:
    config = tiny_config(**language)
    config["vision_config"] = {
        "layers": 27,
        "width": 1152,
        "mlp_ratio": 3.7362,
        "patch_size": 14,
    }
    config["projector_config"] = {"n_embed": language["hidden_size"]}
    parts, faults = read_architecture(config)
    assert not faults
    shapes = expected_tensors(parts)
    assert shapes["vision.blocks.0.mlp.fc1.weight"] == (4304, 1152)
    total = 0
    for shape in shapes.values():
        count = 1
        for side in shape:
            count *= side
        total += count
    assert total / 1e9 == pytest.approx(billions, rel=0.01)


def test_no_folder(tmp_path: Path) -> None:
    assert "does not exist" in fault(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    assert "is a file, not a model folder" in fault(tmp_path / "file")


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "processor_config.json", WEIGHTS]
)
def test_missing_file(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / name).unlink()
    assert name in fault(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "processor_config.json", INDEX])
@pytest.mark.parametrize("content", [b"", b'{"a": ', b"[1]", b"\xff\xfe\x00", b"null"])
def test_damaged_json(tmp_path: Path, name: str, content: bytes) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    (folder / name).write_bytes(content)
    assert name in fault(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_config(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "config.json").chmod(0)
    assert "config.json cannot be read" in fault(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "llama"}, "model_type 'llama', not 'deepseek_vl_v2'"),
        ({"model_type": None}, "model_type None"),
        ({"tile_tag": None}, "tile_tag = null, not one of 2D"),
        ({"tile_tag": "1D"}, "tile_tag"),
        ({"vision_config": None}, "has no table 'vision_config'"),
        ({"language_config": []}, "has no table 'language_config'"),
        ({"projector_config": {"input_dim": 32, "n_embed": 16}}, "n_embed 16"),
        ({"projector_config": {"input_dim": 48, "n_embed": 32}}, "input_dim 48"),
        ({"projector_config": {"projector_type": "linear"}}, "projector_config.projector_type"),
        ({"quantization_config": {}}, "without quant_method"),
    ],
)
def test_config_tables(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(folder / "config.json", lambda config: config.update(change))
    assert said in fault(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"topk_method": "gready"}, 'language_config.topk_method = "gready"'),
        ({"scoring_func": "tanh"}, "language_config.scoring_func"),
        ({"hidden_size": "32"}, 'hidden_size = "32", not a whole number'),
        ({"hidden_size": 32.0}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers = 0"),
        ({"num_experts_per_tok": 9}, "routes to 9 of only 4 experts"),
        ({"num_experts_per_tok": None}, "num_experts_per_tok"),
        ({"rope_scaling": {"type": "yarn"}}, "rope_scaling"),
        ({"use_mla": False, "num_attention_heads": 5}, "not divisible"),
        ({"vocab_size": 25}, "tokenizer.json needs token id 28"),
        ({"moe_intermediate_size": 17}, "has shape [16, 32], config.json needs [17, 32]"),
        ({"num_hidden_layers": 3}, "lacks language.model.layers.2"),
        ({"num_hidden_layers": 1}, "holds language.model.layers.1"),
    ],
)
def test_language_config(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(folder / "config.json", lambda config: config["language_config"].update(change))
    assert said in fault(folder)


@pytest.mark.parametrize("key", ["topk_method", "tile_tag"])
def test_absent_required_field(tmp_path: Path, key: str) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(folder / "config.json", lambda c: (c.pop(key, 0), c["language_config"].pop(key, 0)))
    assert f"lacks {key}" in fault(folder).replace("language_config.", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patch_size": 16}, "patch_size = 16, but config.json says 14"),
        ({"downsample_ratio": 4}, "downsample_ratio = 4"),
        ({"candidate_resolutions": []}, "candidate_resolutions"),
        ({"candidate_resolutions": [[384, 400]]}, "candidate_resolutions"),
        ({"candidate_resolutions": [384]}, "candidate_resolutions"),
    ],
)
def test_processor_config(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(folder / "processor_config.json", lambda config: config.update(change))
    assert said in fault(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("model"),
        lambda t: t["model"].update(vocab={}),
        lambda t: t["model"]["vocab"].update(a="x"),
        lambda t: t["added_tokens"].append(3),
        lambda t: t.update(added_tokens=7),
    ],
)
def test_tokenizer(tmp_path: Path, change: Callable[[Any], object]) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(folder / "tokenizer.json", change)
    assert "tokenizer.json" in fault(folder)


def test_tokens_to_be_added_need_room(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", vocab_size=30)
    edit_json(folder / "tokenizer.json", lambda t: t["added_tokens"].pop(2))
    check_checkpoint(folder)
    edit_json(folder / "tokenizer.json", lambda t: t["added_tokens"].pop(2))
    assert "needs token id 30 but language_config.vocab_size is 30" in fault(folder)


@pytest.mark.parametrize("keep", [0.0, 0.0001, 0.5, 0.999999])
def test_truncated_shard(golden: Callable[[str], Path], keep: float) -> None:
    folder = golden("mla")
    shard = sorted(folder.glob("*.safetensors"))[1]
    size = shard.stat().st_size
    os.truncate(shard, min(int(size * keep), size - 1))
    assert f"{shard} is truncated" in fault(folder)


def test_missing_shard(golden: Callable[[str], Path]) -> None:
    folder = golden("mla")
    shard = sorted(folder.glob("*.safetensors"))[0]
    shard.unlink()
    assert f"{shard} is missing, though the index names it" in fault(folder)


def test_index_that_reaches_outside(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    edit_json(folder / INDEX, lambda i: i["weight_map"].update(x="../other.safetensors"))
    assert "has no weight_map" in fault(folder)


def test_index_and_shard_disagree(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    names = sorted(path.name for path in folder.glob("*.safetensors"))

    def swap(index: Any) -> None:
        key = "image_newline"
        index["weight_map"][key] = names[names[0] == index["weight_map"][key]]

    edit_json(folder / INDEX, swap)
    said = [problem.message for problem in examine(folder)[1]]
    assert any(f"{names[1]} holds image_newline, but it does not" in line for line in said)
    assert any(f"{names[0]} holds image_newline, which" in line for line in said)
    edit_json(folder / INDEX, lambda i: i["weight_map"].pop("image_newline"))
    assert "holds image_newline, which" in fault(folder)


@pytest.mark.parametrize("variant", ["mha", "mla", "mla-sigmoid"])
def test_missing_and_extra_keys(golden: Callable[[str], Path], variant: str) -> None:
    folder = golden(variant)
    shard = sorted(folder.glob("*.safetensors"))[-1]

    def rename(header: dict[str, Any]) -> None:
        header["language.model.layers.2.mlp.gate.wait"] = header.pop(
            "language.model.layers.2.mlp.gate.weight"
        )

    edit_header(shard, rename)
    if (folder / INDEX).exists():

        def follow(index: Any) -> None:
            index["weight_map"].pop("language.model.layers.2.mlp.gate.weight")
            index["weight_map"]["language.model.layers.2.mlp.gate.wait"] = shard.name

        edit_json(folder / INDEX, follow)
    _, problems = examine(folder)
    said = " ".join(problem.message for problem in problems)
    assert "lacks language.model.layers.2.mlp.gate.weight" in said
    assert "holds language.model.layers.2.mlp.gate.wait" in said
    assert "(and 1 more problem)" in fault(folder)


def test_wrong_dtype(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_header(folder / WEIGHTS, lambda header: header["image_newline"].update(dtype="I16"))
    assert "image_newline" in fault(folder)
    assert "dtype I16, not one of BF16, F16, F32" in fault(folder)


def test_the_unused_pool_may_be_absent_but_not_partial(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    shapes = expected_tensors(read_architecture(config)[0])
    pool = "vision.attn_pool."
    write_safetensors(folder / WEIGHTS, {k: v for k, v in shapes.items() if not k.startswith(pool)})
    check_checkpoint(folder)
    write_safetensors(folder / WEIGHTS, {k: v for k, v in shapes.items() if k != pool + "latent"})
    assert "lacks vision.attn_pool.latent" in fault(folder)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    shutil.move(folder / WEIGHTS, folder / "pytorch_model.bin")
    assert "pickled weights, which can run code" in fault(folder)


def test_remedy_names_the_hub_model(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--deepseek-ai--deepseek-vl2-tiny" / "snapshots" / "abc"
    folder = write_checkpoint(snapshot)
    (folder / "tokenizer.json").unlink()
    assert "dvl2 pull deepseek-ai/deepseek-vl2-tiny" in fault(folder)


def test_all_problems_are_listed(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "tokenizer.json").unlink()
    (folder / "processor_config.json").unlink()
    os.truncate(folder / WEIGHTS, 100)
    info, problems = examine(folder)
    assert info is None
    assert len(problems) == 3
