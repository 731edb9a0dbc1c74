"""Copies in bitsandbytes' NF4 format, which is what runs best on CUDA.

The files are those that transformers saves for a ``BitsAndBytesConfig`` model, so that
``from_pretrained`` loads them quantised; but they are written layer by layer, where
transformers would hold the whole model in memory.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvl2_cli.errors import ModelError, OutputError
from dvl2_cli.files import atomic_write, output_error
from dvl2_cli.folders import replace_folder
from dvl2_cli.packages import need_packages
from dvl2_cli.quantizing.conversion import (
    Progress,
    check_space,
    copy_companions,
    file_hash,
    identity,
    write_report,
)
from dvl2_cli.quantizing.journal import JOURNAL, ConversionJournal
from dvl2_cli.quantizing.layout import class_and_kind, layer_groups
from dvl2_cli.quantizing.reading import read_tensor
from dvl2_cli.store.checkpoint import CheckpointInfo
from dvl2_cli.store.shards import INDEX

# What stays bf16: the tower and projector see every image once, the head ranks the answer.
SKIPPED_MODULES = ["vision", "projector", "lm_head", "kv_b_proj"]
_BLOCK = 64
# NF4 with one fp32 scale for 64 weights.
_BYTES_PER_WEIGHT = 0.5 + 4 / _BLOCK


def convert_to_nf4(info: CheckpointInfo, partial: Path, progress: Progress) -> None:
    """Write the copy's weights into ``partial``, going on where a run stopped.

    Raises:
        UsageError: bitsandbytes is not installed.
        ModelError: a file became unreadable.
        OutputError: no space, no permission.
    """
    need_packages("an nf4 copy", "bnb", "bitsandbytes")
    groups = layer_groups(info.tensors)
    total = sum(_copy_bytes(info, keys) for keys in groups)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        journal = ConversionJournal(partial, identity(info, "nf4"))
        try:
            names = [
                f"model-{i:05d}-of-{len(groups):05d}.safetensors" for i in range(1, len(groups) + 1)
            ]
            check_space(total, partial, names)
            weight_map: dict[str, str] = {}
            done = 0
            for name, keys in zip(names, groups, strict=True):
                weight_map |= dict.fromkeys(_write_file(info, keys, partial / name, journal), name)
                done += _copy_bytes(info, keys)
                progress(done, total)
            with atomic_write(partial / INDEX) as stream:
                content = {"metadata": {"total_size": total}, "weight_map": weight_map}
                stream.write(json.dumps(content) + "\n")
            copy_companions(info.folder, partial)
            write_report(info, "nf4", journal, [], partial)
        finally:
            journal.close()
    except OSError as error:
        raise output_error(partial, error) from error


def finish_nf4(info: CheckpointInfo, partial: Path, folder: Path) -> None:
    """Add ``config.json`` with transformers' quantisation table and give the folder its name.

    Raises:
        OutputError: the folder cannot be renamed.
    """
    from transformers import BitsAndBytesConfig

    table: dict[str, Any] = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=SKIPPED_MODULES,
    ).to_dict()
    try:
        with atomic_write(partial / "config.json") as stream:
            content = {**info.config, "quantization_config": table}
            if any(header.dtype == "F16" for header in info.tensors.values()):
                # All of it computes in one type, see compute_dtype.
                content["dtype"] = "bfloat16"
            stream.write(json.dumps(content, indent=1) + "\n")
        (partial / JOURNAL).unlink(missing_ok=True)
        replace_folder(partial, folder)
    except OSError as error:
        raise output_error(folder, error) from error


def is_converted(key: str) -> bool:
    """Whether a released tensor is stored as NF4."""
    from deepseek_vl_v2.quantized_format import PackedKind

    skipped = any(re.search(rf"(^|\.){name}(\.|$)", key) for name in SKIPPED_MODULES)
    return class_and_kind(key, PackedKind.INT4) is not None and not skipped


def _write_file(
    info: CheckpointInfo, keys: list[str], path: Path, journal: ConversionJournal
) -> list[str]:
    """Write one file unless it is there; the keys that it holds."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from dvl2_cli.store.headers import read_header

    if path.name in journal.files and path.is_file():
        return list(read_header(path).tensors)
    tensors: dict[str, Tensor] = {}
    for key in keys:
        weight = read_tensor(key, info.tensors[key])
        if info.tensors[key].dtype == "F16":
            weight = weight.to(torch.bfloat16)
        tensors |= _quantised(key, weight) if is_converted(key) else {key: weight}
    staged = path.with_suffix(".tmp")
    try:
        save_file(tensors, staged, metadata={"format": "pt"})
    except SafetensorError as error:
        staged.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {path}: {error}", "Free some space; the next run goes on."
        ) from error
    staged.replace(path)
    journal.add_file(path.name, file_hash(path))
    return list(tensors)


def _quantised(key: str, weight: Tensor) -> dict[str, Tensor]:
    bitsandbytes = _bitsandbytes()
    packed, state = bitsandbytes.functional.quantize_4bit(
        weight.to(torch.bfloat16), blocksize=_BLOCK, quant_type="nf4", compress_statistics=False
    )
    if not torch.isfinite(state.absmax).all():
        raise ModelError(f"{key} holds infinities or NaN", "Fetch the file again: dvl2 pull MODEL.")
    parts = state.as_dict(packed=True)
    return {key: packed, **{f"{key}.{name}": value for name, value in parts.items()}}


def _copy_bytes(info: CheckpointInfo, keys: list[str]) -> int:
    sizes = (
        info.tensors[key].elements * _BYTES_PER_WEIGHT
        if is_converted(key)
        else info.tensors[key].nbytes
        for key in keys
    )
    return int(sum(sizes))


def _bitsandbytes() -> Any:
    try:
        import bitsandbytes
    except ImportError:
        return None
    return bitsandbytes
