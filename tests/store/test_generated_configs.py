"""What passes the check loads, whatever a file holds; what does not gets a line that says why."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepseek_vl_v2 import DeepseekVLV2Config, DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from deepseek_vl_v2.format.architecture import read_architecture
from deepseek_vl_v2.format.config_fields import (
    ModelFields,
    ProjectorFields,
    TextFields,
    VisionFields,
)
from deepseek_vl_v2.format.processor_fields import ProcessorFields as ProcessorTable
from deepseek_vl_v2.format.tensors import expected_tensors
from dvl2_cli.engine.local.loading import load_model
from dvl2_cli.errors import ModelError
from dvl2_cli.store.checkpoint import check_checkpoint, examine
from tests.store.tiny_checkpoint import tiny_config, write_checkpoint, write_json

# Keys that mean nothing, or hide something of a class that reads them.
EXTRA = ("head_dim", "grid", "vision", "to_dict", "is_moe_layer", "dtype", "torch_dtype", "unheard")
ABSURD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 3, 7, 0.5, 1e-30, float("inf"), float("nan"), 1e308, 10**9, 10**30,
    "", "x", "2D", "greedy", "noaux_tc", "sigmoid", "head", "bfloat16", [], [1], {}, {"type": "x"},
)  # fmt: skip
ABSENT = object()


TABLES = {
    "": ModelFields,
    "vision_config": VisionFields,
    "projector_config": ProjectorFields,
    "language_config": TextFields,
}
PLACES = [
    (section, name)
    for section, table in TABLES.items()
    for name in (*EXTRA, *(field.name for field in dataclasses.fields(table)))
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from([*ABSURD, ABSENT])), max_size=3))
def test_a_config_without_faults_makes_the_model(
    changes: list[tuple[tuple[str, str], Any]],
) -> None:
    config = tiny_config()
    for (section, name), value in changes:
        table = config[section] if section else config
        if value is ABSENT:
            table.pop(name, None)
        else:
            table[name] = value
    parts, faults = read_architecture(config)
    for fault in faults:
        assert "\n" not in fault
    if faults:
        return
    read = DeepseekVLV2Config(**json.loads(json.dumps(config)))
    with torch.device("meta"):
        model = DeepseekVLV2ForCausalLM(read)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert shapes == expected_tensors(parts)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([field.name for field in dataclasses.fields(ProcessorTable)] + ["x"]),
        st.sampled_from(ABSURD),
        max_size=2,
    )
)
def test_a_processor_without_faults_loads(change: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write_checkpoint(Path(name) / "m")
        edit_json(folder / "processor_config.json", lambda config: config.update(change))
        _, problems = examine(folder)
        if problems:
            assert "processor_config.json" in problems[0].message
        else:
            DeepseekVLV2Processor.from_pretrained(folder)


SMALL_FILES = {
    "tokenizer_config.json": (
        "tokenizer_class", "model_max_length", "bos_token", "eos_token", "pad_token", "unk_token",
        "add_bos_token", "chat_template", "added_tokens_decoder", "auto_map",
        "extra_special_tokens", "clean_up_tokenization_spaces", "legacy", "unheard",
    ),
    "generation_config.json": (
        "max_length", "eos_token_id", "do_sample", "temperature", "cache_implementation",
        "transformers_version", "unheard",
    ),
    "special_tokens_map.json": ("bos_token", "eos_token", "additional_special_tokens", "unheard"),
}  # fmt: skip
KEYS = [(name, key) for name, keys in SMALL_FILES.items() for key in keys]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(ABSURD), min_size=1, max_size=2))
def test_small_files_load_or_are_one_line(change: dict[tuple[str, str], Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write_checkpoint(Path(name) / "m")
        for file in {file for file, _ in change}:
            write_json(
                folder / file, {key: value for (of, key), value in change.items() if of == file}
            )
        said = f"{folder}"
        try:
            load_model(check_checkpoint(folder).folder)
        except ModelError as error:
            said = error.message
        assert "\n" not in said
        assert str(folder) in said


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    write_json(path, content)


def fault(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        check_checkpoint(folder)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("language_config", "num_hidden_layers", 10**9),
        ("language_config", "n_routed_experts", 10**9),
        ("language_config", "hidden_size", 10**9),
        ("projector_config", "depth", 10**9),
        ("vision_config", "layers", 10**9),
        ("vision_config", "width", float("inf")),
        ("vision_config", "mlp_ratio", 1e308),
        ("language_config", "rms_norm_eps", "x"),
        ("language_config", "eos_token_id", [1, "x"]),
        ("language_config", "torch_dtype", ["bfloat16"]),
        ("", "dtype", ["bfloat16"]),
        ("", "candidate_resolutions", 3),
    ],
)
def test_absurd_values_are_named(tmp_path: Path, section: str, name: str, value: Any) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(
        folder / "config.json", lambda c: (c[section] if section else c).update({name: value})
    )
    assert name in fault(folder)


def test_experts_of_all_layers_are_counted() -> None:
    config = tiny_config(num_hidden_layers=1000, n_routed_experts=4000)
    assert "4000 experts in 1000 layers" in read_architecture(config)[1][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_group": 3}, "4 experts, not divisible into 3 groups"),
        ({"n_group": 4}, "4 experts, not divisible into 4 groups of 2 or more"),
        ({"n_group": 2, "topk_group": 3}, "keeps 3 of only 2 groups"),
        ({"n_group": 2, "num_experts_per_tok": 3}, "routes to 3 experts of only 2 in 1 groups"),
    ],
)
def test_groups_of_experts(change: dict[str, Any], said: str) -> None:
    config = tiny_config(topk_method="noaux_tc", **change)
    assert said in read_architecture(config)[1][0]


def test_a_side_with_a_zero_too_many(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    canvases = [[384, 384], [384, 384_000_000]]
    edit_json(folder / "processor_config.json", lambda c: c.update(candidate_resolutions=canvases))
    assert "candidate_resolutions of more than 1024 tiles" in fault(folder)


def test_what_upstream_ignores_loads(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(folder / "processor_config.json", lambda c: c.update(unheard={"of": 1}))
    edit_json(folder / "config.json", lambda c: c["language_config"].update(head_dim=128))
    assert not (folder / "tokenizer_config.json").exists()
    loaded = load_model(folder)
    assert loaded.model.config.language.head_dim == 12
    tokens = loaded.processor.tokens
    assert tokens.encode_literal("ab") == tokens.encode("ab") == [2, 3]


def test_an_image_token_that_the_processor_adds(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(
        folder / "tokenizer.json",
        lambda t: t.update(
            added_tokens=[x for x in t["added_tokens"] if x["content"] != "<image>"]
        ),
    )
    wanted = DeepseekVLV2Processor.from_pretrained(folder).tokens.image
    assert DeepseekVLV2ForCausalLM.from_pretrained(folder).config.image_token_id == wanted
    assert load_model(folder).model.config.image_token_id == wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t["model"].update(merges=["a z"]), "merge of unknown tokens"),
        (lambda t: t["model"].update(merges=[["a", "b"]]), "merge of unknown tokens"),
        (lambda t: t["model"].update(merges=["a"]), "merge of unknown tokens"),
        (lambda t: t["model"].update(merges=7), "not a byte-level BPE"),
        (lambda t: t["model"]["vocab"].update(a=-5), "malformed tokens"),
        (lambda t: t["added_tokens"][3].update(id=-1), "malformed tokens"),
        (lambda t: t["added_tokens"].pop(0), "has no token"),
        (lambda t: t.update(pre_tokenizer=split("([")), "is not understood"),
        (lambda t: t.update(pre_tokenizer={"type": "nonsense"}), "is not understood"),
        (lambda t: t.update(pre_tokenizer=split("(a+)+b")), "may take forever"),
        (lambda t: t.update(normalizer=replacing("(a|a)*b")), "may take forever"),
        (lambda t: t.update(pre_tokenizer=split("x" * 20_000)), "may take forever"),
    ],
)
def test_tokenizers(tmp_path: Path, change: Callable[[Any], object], said: str) -> None:
    folder = write_checkpoint(tmp_path / "m")
    edit_json(folder / "tokenizer.json", change)
    assert said in fault(folder)


def split(pattern: str) -> dict[str, Any]:
    return {
        "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False
    }  # fmt: skip


def replacing(pattern: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": "x"}


@pytest.mark.parametrize(
    "name",
    [
        "config.json", "tokenizer.json", "processor_config.json", "tokenizer_config.json",
        "generation_config.json", "LICENSE", "README.md", "feature_stats.safetensors",
        "model.safetensors",
    ],
)  # fmt: skip
def test_pipes_and_devices_are_not_read(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / "m")
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
        assert name in fault(folder) or name == "model.safetensors"


@pytest.mark.parametrize("name", ["x" * 300 + ".safetensors", "a\0b.safetensors"])
def test_shards_of_impossible_names(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path / "m", shards=2)
    edit_json(
        folder / "model.safetensors.index.json",
        lambda index: index["weight_map"].update(image_newline=name),
    )
    assert "has no weight_map of key to file name" in fault(folder)
