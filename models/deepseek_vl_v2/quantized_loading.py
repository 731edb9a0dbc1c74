"""Loading a quantised copy: every weight stays a view of the mapped file.

Nothing is read but the shards' headers and what the first forward touches, so loading takes
the same time for every size of model, processes share the pages, and on a machine with less
memory than the model the file itself is the slow tier.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import initialization

from deepseek_vl_v2.attention import LatentUpProjection
from deepseek_vl_v2.configuration import DeepseekVLV2Config
from deepseek_vl_v2.modeling import DeepseekVLV2ForCausalLM, image_token_id
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
_DTYPES = {
    "U8": torch.uint8, "I64": torch.int64, "F32": torch.float32, "F16": torch.float16,
    "BF16": torch.bfloat16,
}  # fmt: skip


def load_quantized(folder: Path) -> DeepseekVLV2ForCausalLM:
    """The model in a folder that ``dvl2 quantize`` wrote, on the CPU, ready for inference.

    Raises:
        ValueError: not such a folder, of another format version, or a tensor does not fit
            the module that it names.
        OSError: a file is missing or unreadable.
    """
    config = DeepseekVLV2Config.from_pretrained(folder)
    _check_method(folder, getattr(config, "quantization_config", None))
    # transformers would otherwise look for a quantiser of that name when it saves or moves.
    del config.quantization_config
    with torch.device("meta"), initialization.no_init_weights():
        model = DeepseekVLV2ForCausalLM(config)
    # Nothing reads the pooling head, and quantised copies leave it out.
    del model.vision.attn_pool
    if config.image_token_id is None:
        config.image_token_id = image_token_id(str(folder))
    tensors = map_tensors(folder)
    _place_tensors(model, tensors)
    _fill_buffers(model)
    model.train(False)
    return model


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
