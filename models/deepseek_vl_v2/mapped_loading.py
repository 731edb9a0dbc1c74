"""Loading onto mapped files: every weight stays a view of its shard, plain or packed.

Nothing is read but the shards' headers and what the first forward touches, so loading takes
the same time for every size of model, processes share the pages, and on a machine with less
memory than the model the file itself is the slow tier.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from deepseek_vl_v2.attention import LatentUpProjection
from deepseek_vl_v2.core import ImageTextModel, PlainModel
from deepseek_vl_v2.format.config import read_config
from deepseek_vl_v2.quantized_format import FORMAT_VERSION, QUANT_METHOD, packed_kind
from deepseek_vl_v2.quantized_linear import (
    QuantizedHead,
    QuantizedLatentUpProjection,
    QuantizedLinear,
)

INDEX = "model.safetensors.index.json"
ABSORBED = "key_absorbed"
EXACT_ROWS = "exact_rows"
_POOL = "vision.attn_pool."
_TABLES = ("language_config", "vision_config", "projector_config")
_DTYPES = {
    "U8": torch.uint8, "I64": torch.int64, "F32": torch.float32, "F16": torch.float16,
    "BF16": torch.bfloat16,
}  # fmt: skip


def load_plain(folder: Path, dtype: torch.dtype | None = None) -> PlainModel:
    """The model in a released or quantised checkpoint's folder, on the CPU, for inference.

    Args:
        folder: of the checkpoint.
        dtype: of plain weights; None for the type that ``config.json`` names, which keeps them
            mapped. Packed weights stay as they are.

    Raises:
        ValueError: a file says what this code does not compute, or a tensor does not fit the
            module that it names.
        OSError: a file is missing or unreadable.
    """
    config, content = read_config(folder)
    with torch.device("meta"), _without_initial_values():
        model = PlainModel(config)
    if content.get("quantization_config") is not None:
        place_packed(model, folder, content["quantization_config"])
        return model
    # Nothing reads the pooling head.
    del model.vision.attn_pool
    tensors = map_tensors(folder)
    wanted = dtype or _named_dtype(content) or _first_dtype(tensors)
    for key, tensor in tensors.items():
        if not key.startswith(_POOL):
            path, _, name = key.rpartition(".")
            _set_plain(model.get_submodule(path), name, key, tensor.to(wanted))
    _fill_buffers(model)
    model.train(False)
    return model


def place_packed(model: ImageTextModel, folder: Path, table: object) -> None:
    """Give ``model``, made on the meta device, the tensors of a quantised copy.

    ``table`` is the copy's ``quantization_config``.

    Raises:
        ValueError: not such a folder, of another format version, or a tensor does not fit
            the module that it names.
        OSError: a file is missing or unreadable.
    """
    _check_method(folder, table)
    # Nothing reads the pooling head, and quantised copies leave it out.
    del model.vision.attn_pool
    _place_tensors(model, map_tensors(folder))
    _fill_buffers(model)
    model.train(False)


def map_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint folder, as views of its mapped shards.

    Raises:
        OSError: a shard is missing or unreadable.
        ValueError: a tensor is of a type that no copy holds.
    """
    index = folder / INDEX
    if index.is_file():
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    else:
        names = ["model.safetensors"]
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors.update(_views(folder / name))
    return tensors


def _views(path: Path) -> dict[str, Tensor]:
    """A shard's tensors. safetensors' own reader touches every one, and with it 64 KB around."""
    with safe_open(path, framework="pt") as shard:
        # In the order of their data, which has no gaps and ends with the file.
        parts = [(key, shard.get_slice(key)) for key in shard.offset_keys()]
        kinds = [(key, part.get_dtype(), part.get_shape()) for key, part in parts]
    for key, name, _ in kinds:
        if name not in _DTYPES:
            raise ValueError(f"{key} in {path} is of type {name}, which no copy holds")
    end = path.stat().st_size
    mapped = torch.from_file(str(path), shared=False, size=end, dtype=torch.uint8)
    sizes = [math.prod(shape) * _DTYPES[name].itemsize for _, name, shape in kinds]
    start = end - sum(sizes)
    views: dict[str, Tensor] = {}
    for (key, name, shape), size in zip(kinds, sizes, strict=True):
        dtype, data = _DTYPES[name], mapped[start : start + size]
        aligned = start % dtype.itemsize == 0
        views[key] = (data if aligned else data.clone()).view(dtype).view(shape)
        start += size
    return views


@contextlib.contextmanager
def _without_initial_values() -> Iterator[None]:
    """Modules are made without drawing weights.

    To fill a tensor on the meta device, torch imports its compiler, which takes 4 CPU seconds.
    """
    kinds: tuple[Any, ...] = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.modules.conv._ConvNd)
    kept = [kind.reset_parameters for kind in kinds]
    try:
        for kind in kinds:
            kind.reset_parameters = lambda self: None
        yield
    finally:
        for kind, original in zip(kinds, kept, strict=True):
            kind.reset_parameters = original


def _named_dtype(content: Mapping[str, Any]) -> torch.dtype | None:
    """The type that ``config.json`` or one of its tables names."""
    tables = [content, *(content.get(name) for name in _TABLES)]
    for table in tables:
        for name in ("dtype", "torch_dtype"):
            if table and table.get(name) is not None:
                found = getattr(torch, str(table[name]), None)
                if isinstance(found, torch.dtype):
                    return found
    return None


def _first_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype | None:
    return next((part.dtype for part in tensors.values() if part.is_floating_point()), None)


def _check_method(folder: Path, table: object) -> None:
    if not isinstance(table, dict) or table.get("quant_method") != QUANT_METHOD:
        raise ValueError(f"{folder} holds no quantised copy of dvl2's own format")
    version = table.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(f"{folder} has format version {version}; this dvl2 reads {FORMAT_VERSION}")


def _place_tensors(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        if key.startswith(_POOL) or key.endswith((f".{ABSORBED}", f".{EXACT_ROWS}")):
            continue
        path, _, name = key.rpartition(".")
        module = model.get_submodule(path)
        if packed_kind(tensor.shape, tensor.dtype) is None:
            if not isinstance(module, QuantizedLinear):
                _set_plain(module, name, key, tensor)
            continue
        model.set_submodule(path, _quantized(module, key, path, tensors))


def _quantized(module: nn.Module, key: str, path: str, tensors: dict[str, Tensor]) -> nn.Module:
    if not isinstance(module, nn.Linear):
        raise ValueError(f"{key} is packed, but its module is no linear layer")
    packed = tensors[key]
    exact_rows = tensors.get(f"{path}.{EXACT_ROWS}")
    if exact_rows is not None:
        return QuantizedHead(packed, exact_rows)
    if isinstance(module, LatentUpProjection):
        absorbed = tensors.get(f"{path}.{ABSORBED}")
        if absorbed is None:
            raise ValueError(f"{key} has no {ABSORBED} beside it")
        return QuantizedLatentUpProjection(packed, absorbed, module)
    bias = tensors.get(f"{path}.bias")
    return QuantizedLinear(packed, module.out_features, module.in_features, bias)


def _set_plain(module: nn.Module, name: str, key: str, tensor: Tensor) -> None:
    expected = getattr(module, name, None)
    if not isinstance(expected, nn.Parameter) or expected.shape != tensor.shape:
        raise ValueError(f"{key} with shape {list(tensor.shape)} has no place in the model")
    setattr(module, name, nn.Parameter(tensor, requires_grad=False))


def _fill_buffers(model: nn.Module) -> None:
    """Give buffers that no file holds (load counters) memory; refuse what stayed unfilled."""
    for path, module in model.named_modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                setattr(module, name, torch.zeros(buffer.shape, dtype=buffer.dtype))
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.is_meta:
                raise ValueError(f"the copy lacks {path}.{name}")
