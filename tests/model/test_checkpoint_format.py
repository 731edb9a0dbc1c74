"""Auto classes load the released format, and saving writes it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
)

from deepseek_vl_v2 import DeepseekVLV2Config, DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from tests import golden_data as golden


def released(checkpoint: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for path in sorted((golden.ROOT / "checkpoints" / checkpoint).glob("*.safetensors")):
        tensors |= load_file(path)
    return tensors


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
def test_auto_classes(checkpoint: str) -> None:
    folder = golden.ROOT / "checkpoints" / checkpoint
    assert isinstance(AutoConfig.from_pretrained(folder), DeepseekVLV2Config)
    assert isinstance(AutoProcessor.from_pretrained(folder), DeepseekVLV2Processor)
    autos: tuple[Any, ...] = (AutoModelForCausalLM, AutoModelForImageTextToText)
    for auto in autos:
        model, info = auto.from_pretrained(folder, output_loading_info=True)
        assert isinstance(model, DeepseekVLV2ForCausalLM)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        assert not info["mismatched_keys"]
        ours, theirs = model.state_dict(), released(checkpoint)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
        assert model.config.image_token_id == golden.processor(checkpoint).tokens.image


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
def test_save_and_load(checkpoint: str, tmp_path: Path) -> None:
    folder = golden.ROOT / "checkpoints" / checkpoint
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path)
    golden.processor(checkpoint).save_pretrained(tmp_path)
    theirs = released(checkpoint)
    with safe_open(tmp_path / "model.safetensors", "pt") as saved:
        assert set(saved.keys()) == theirs.keys()
        assert all(torch.equal(saved.get_tensor(key), theirs[key]) for key in theirs)
    written = json.loads((tmp_path / "processor_config.json").read_text(encoding="utf-8"))
    original = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))
    assert {key: written[key] for key in original} == original
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    before = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "deepseek_vl_v2"
    for part in ("vision_config", "projector_config"):
        assert {key: config[part][key] for key in before[part]} == before[part]
    again = AutoProcessor.from_pretrained(tmp_path)
    text = "two  spaces, <|ref|>x<|/ref|> ünï 你好\n\ttab"
    assert again.tokens.encode(text) == golden.processor(checkpoint).tokens.encode(text)
    assert again.decode(again.tokens.encode(text)) == text


def test_missing_special_tokens_are_added(tmp_path: Path) -> None:
    source = golden.ROOT / "checkpoints" / "mha"
    for path in source.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    kept = [token for token in tokenizer["added_tokens"] if token["id"] < 2]
    tokenizer["added_tokens"] = kept
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    settings = {"tokenizer_class": "LlamaTokenizerFast"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (tmp_path / "special_tokens_map.json").unlink()
    tokens = DeepseekVLV2Processor.from_pretrained(tmp_path).tokenizer.get_vocab()
    wanted = ["<image>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>"]
    first = tokens["<image>"]
    assert [tokens[token] - first for token in wanted] == list(range(6))
    assert tokens["<|Assistant|>"] == tokens["<|User|>"] + 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("topk_method", "gready"), ("scoring_func", "tanh"), ("rope_scaling", {"type": "yarn"})],
)
def test_unsupported_decoder_is_refused(field: str, value: object) -> None:
    config = AutoConfig.from_pretrained(golden.ROOT / "checkpoints" / "mha")
    setattr(config.language_config, field, value)
    with pytest.raises(ValueError, match=field):
        DeepseekVLV2ForCausalLM(config)
