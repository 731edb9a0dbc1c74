"""Writes a small, whole checkpoint of any variant without torch: zeros in the right shapes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepseek_vl_v2.format.architecture import read_architecture
from deepseek_vl_v2.format.template import BOS, EOS, SPECIAL_TOKENS
from deepseek_vl_v2.format.tensors import expected_tensors

DTYPE = "BF16"
VOCAB = 64
RESOLUTIONS = [[384, 384], [384, 768], [768, 384]]

_LANGUAGE = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
    "q_lora_rank": None,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "topk_method": "greedy",
    "max_position_embeddings": 4096,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def tiny_config(**language: Any) -> dict[str, Any]:
    """A config.json of the MLA variant; ``language`` overrides language_config."""
    return {
        "model_type": "deepseek_vl_v2",
        "tile_tag": "2D",
        "candidate_resolutions": RESOLUTIONS,
        "vision_config": {
            "layers": 1,
            "width": 32,
            "heads": 4,
            "patch_size": 14,
            "mlp_ratio": 2,
        },
        "projector_config": {"input_dim": 32, "n_embed": 32},
        "language_config": _LANGUAGE | language,
    }


def write_checkpoint(folder: Path, *, shards: int = 1, **language: Any) -> Path:
    """Write the whole checkpoint to ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = tiny_config(**language)
    write_json(folder / "config.json", config)
    write_json(folder / "tokenizer.json", tiny_tokenizer())
    write_json(
        folder / "processor_config.json",
        {
            "processor_class": "DeepseekVLV2Processor",
            "candidate_resolutions": RESOLUTIONS,
            "patch_size": 14,
            "downsample_ratio": 2,
        },
    )
    shapes = expected_tensors(read_architecture(config)[0])
    names = list(shapes)
    if shards == 1:
        write_safetensors(folder / "model.safetensors", shapes)
        return folder
    weight_map: dict[str, str] = {}
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:06d}.safetensors"
        held = names[number::shards]
        write_safetensors(folder / name, {key: shapes[key] for key in held})
        weight_map |= dict.fromkeys(held, name)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    return folder


_BYTES = {"add_prefix_space": False, "trim_offsets": True, "use_regex": False}
_AS_WRITTEN = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)


def tiny_tokenizer() -> dict[str, Any]:
    """A byte-level BPE with a few letters and every special token."""
    letters = {letter: 2 + index for index, letter in enumerate("abcdefghij")}
    added = [BOS, EOS, *SPECIAL_TOKENS]
    numbers = [0, 1, *range(20, 20 + len(SPECIAL_TOKENS))]
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": token, "special": True, **_AS_WRITTEN}
            for number, token in zip(numbers, added, strict=True)
        ],
        "pre_tokenizer": {"type": "ByteLevel", **_BYTES},
        "model": {"type": "BPE", "vocab": letters, "merges": []},
    }


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def write_safetensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], *, dtype: str = DTYPE, width: int = 2
) -> None:
    """Tensors of zeros; ``width`` is the bytes of an element of ``dtype``."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, shape in shapes.items():
        size = math.prod(shape) * width
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [position, position + size],
        }
        position += size
    write_raw_safetensors(path, header, bytes(position))


def write_raw_safetensors(path: Path, header: Any, data: bytes) -> None:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def read_raw_safetensors(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]
