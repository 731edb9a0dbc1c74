from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepseek_vl_v2.format.architecture import read_architecture
from deepseek_vl_v2.format.tensors import UNUSED_PREFIX, expected_tensors
from dvl2_cli.errors import ModelError
from dvl2_cli.store.checkpoint import CheckpointInfo, check_checkpoint
from dvl2_cli.store.contents import parts_of
from dvl2_cli.store.keys import (
    BLOCK_BYTES,
    BLOCK_COLUMNS,
    BLOCK_ROWS,
    absorbed_tensors,
    packed_shape,
)
from tests.store.tiny_checkpoint import write_checkpoint, write_json, write_raw_safetensors

EXPERT = "language.model.layers.1.mlp.experts.0.up_proj.weight"
Change = Callable[[dict[str, Any]], object]


def write_copy(folder: Path, kind: str = "int4", change: Change = lambda _: None) -> Path:
    """A copy as the quantiser lays it out: projections packed, the rest as released."""
    write_checkpoint(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "dvl2", "format": kind}
    write_json(folder / "config.json", config)
    parts = read_architecture(config)[0]
    entries: dict[str, Any] = {}
    for key, shape in {**expected_tensors(parts), **absorbed_tensors(parts)}.items():
        packed = "_proj.weight" in key or key in absorbed_tensors(parts)
        if not key.startswith(UNUSED_PREFIX):
            stored = packed_shape(kind, *shape) if packed else shape
            entries[key] = {"dtype": "U8" if packed else "BF16", "shape": list(stored)}
    change(entries)
    position = 0
    for entry in entries.values():
        size = {"U8": 1, "BF16": 2, "F32": 4}[entry["dtype"]]
        for side in entry["shape"]:
            size *= side
        entry["data_offsets"] = [position, position + size]
        position += size
    write_raw_safetensors(folder / "model.safetensors", entries, bytes(position))
    return folder


def fault(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        check_checkpoint(folder)
    assert caught.value.hint
    return f"{caught.value.message} | {caught.value.hint}"


@pytest.mark.parametrize("kind", ["int4", "int8"])
def test_a_whole_copy_passes(tmp_path: Path, kind: str) -> None:
    info: CheckpointInfo = check_checkpoint(write_copy(tmp_path / "m", kind))
    assert info.quant_method == "dvl2"
    plain = check_checkpoint(write_checkpoint(tmp_path / "plain"))
    assert info.parameters == plain.parameters
    experts = next(part for part in parts_of(info) if part.name == "routed experts")
    assert experts.formats == (kind,)
    assert experts.parameters == 4 * 3 * 16 * 32


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.pop(EXPERT), f"lacks {EXPERT}"),
        (lambda e: e.pop("vision.pos_embed"), "lacks vision.pos_embed"),
        (lambda e: e.update(extra={"dtype": "U8", "shape": [1]}), "holds extra, which"),
        (lambda e: e[EXPERT].update(shape=[2, 1, 576]), f"{EXPERT} in"),
        (lambda e: e[EXPERT].update(dtype="BF16", shape=[16, 31]), "config.json needs [16, 32]"),
        (lambda e: e[EXPERT].update(shape=[16, 32]), "has dtype U8, not one of"),
        (
            lambda e: e.pop("language.model.layers.0.self_attn.kv_b_proj.key_absorbed"),
            "lacks language.model.layers.0.self_attn.kv_b_proj.key_absorbed",
        ),
        (lambda e: e["image_newline"].update(dtype="U8", shape=[1, 1, 576]), "image_newline in"),
    ],
)
def test_a_damaged_copy(tmp_path: Path, change: Change, said: str) -> None:
    said_of_it = fault(write_copy(tmp_path / "m", change=change))
    assert said in said_of_it
    assert "Convert the original again: dvl2 quantize" in said_of_it


def test_methods_of_others_are_refused(tmp_path: Path) -> None:
    folder = write_copy(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"]["quant_method"] = "gptq"
    write_json(folder / "config.json", config)
    assert "quant_method 'gptq', which dvl2 cannot run" in fault(folder)


def test_a_bitsandbytes_copy(tmp_path: Path) -> None:
    def as_nf4(entries: dict[str, Any]) -> None:
        entries[EXPERT] = {"dtype": "U8", "shape": [256, 1]}
        entries[f"{EXPERT}.absmax"] = {"dtype": "F32", "shape": [8]}
        for key in [key for key in entries if key.endswith("key_absorbed")]:
            del entries[key]

    folder = write_copy(tmp_path / "m", change=as_nf4)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    table = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    write_json(folder / "config.json", config | {"quantization_config": table})
    assert check_checkpoint(folder).quant_method == "bitsandbytes"


def test_block_sizes_are_those_of_the_format() -> None:
    # The one test here that needs torch: the format's own module imports it.
    from deepseek_vl_v2 import quantized_format as written

    assert (BLOCK_ROWS, BLOCK_COLUMNS) == (written.TILE_ROWS, written.BLOCK_COLUMNS)
    assert {kind.value: kind.block_bytes for kind in written.PackedKind} == BLOCK_BYTES
