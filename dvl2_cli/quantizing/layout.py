"""Which tensor of a checkpoint goes where in the quantised copy, and how it is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from deepseek_vl_v2.format.architecture import Architecture
from deepseek_vl_v2.format.tensors import UNUSED_PREFIX
from deepseek_vl_v2.quantized_format import PackedKind, packed_shape
from dvl2_cli.store.headers import DTYPE_BYTES, TensorHeader
from dvl2_cli.store.keys import ABSORBED, EXACT_ROWS

_ALIGNMENT = 64
_HEAD = "language.lm_head.weight"
_LAYER = re.compile(r"^language\.model\.layers\.(\d+)\.")

# The first pattern that a key matches names its class; classes without a kind stay as released.
# Where a class is int8 in an int4 copy, its measured error at int4 is what decided: see
# benchmarks/README.md.
_CLASSES: tuple[tuple[str, str, bool], ...] = (
    ("routed experts", r"\.mlp\.experts\.\d+\.\w+_proj\.weight$", False),
    ("shared experts", r"\.mlp\.shared_experts\.\w+_proj\.weight$", False),
    ("latent projections", r"\.self_attn\.kv_(a_proj_with_mqa|b_proj)\.weight$", True),
    ("attention", r"\.self_attn\.[qkvo]_(a_|b_)?proj\.weight$", False),
    ("dense layers", r"\.mlp\.\w+_proj\.weight$", False),
    ("output head", r"^language\.lm_head\.weight$", False),
    ("vision tower", r"^vision\.blocks\.\d+\.(attn|mlp)\.\w+\.weight$", True),
    ("projector", r"^projector\.layers\.\d+\.weight$", True),
)


@dataclass(frozen=True, slots=True)
class Target:
    """One tensor of the copy.

    Attributes:
        key: its name in the copy.
        source: the released tensor that it is made from.
        tensor_class: as "routed experts"; None for a tensor that is kept as released.
        kind: how it is packed; None for a tensor that is kept as released.
        dtype: of the safetensors header.
        shape: as stored.
    """

    key: str
    source: str
    tensor_class: str | None
    kind: PackedKind | None
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the stored tensor."""
        size = DTYPE_BYTES[self.dtype]
        for extent in self.shape:
            size *= extent
        return size


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of the copy: its name, its tensors in file order and its header."""

    name: str
    targets: tuple[Target, ...]
    header: bytes

    @property
    def nbytes(self) -> int:
        """Bytes of the whole file."""
        return len(self.header) + sum(target.nbytes for target in self.targets)

    def offsets(self) -> Iterator[tuple[Target, int]]:
        """Every tensor with its place in the file."""
        position = len(self.header)
        for target in self.targets:
            yield target, position
            position += target.nbytes


def class_and_kind(key: str, kind: PackedKind) -> tuple[str, PackedKind] | None:
    """The class of a released tensor and how a copy of that ``kind`` packs it; None: not."""
    for name, pattern, sensitive in _CLASSES:
        if re.search(pattern, key):
            return name, PackedKind.INT8 if sensitive else kind
    return None


def plan_shards(
    tensors: Mapping[str, TensorHeader], parts: Architecture, kind: PackedKind
) -> list[Shard]:
    """Every file of the copy: first tower, projector, embeddings and head, then each layer."""
    groups = [
        [target for key in keys for target in _targets(key, tensors[key], parts, kind)]
        for keys in layer_groups([key for key in tensors if not key.startswith(UNUSED_PREFIX)])
    ]
    names = (f"model-{i:05d}-of-{len(groups):05d}.safetensors" for i in range(1, len(groups) + 1))
    return [_shard(name, targets) for name, targets in zip(names, groups, strict=True)]


def layer_groups(keys: Iterable[str]) -> list[list[str]]:
    """Keys by file: everything outside the decoder's layers, then each layer."""
    groups: dict[int, list[str]] = {}
    for key in sorted(keys, key=_natural):
        match = _LAYER.match(key)
        groups.setdefault(int(match[1]) if match else -1, []).append(key)
    return [groups[number] for number in sorted(groups)]


def _targets(
    key: str, tensor: TensorHeader, parts: Architecture, kind: PackedKind
) -> Iterator[Target]:
    found = class_and_kind(key, kind)
    if found is None:
        # The kernels read plain tensors as bf16 or fp32.
        dtype = "F32" if tensor.dtype == "F16" else tensor.dtype
        yield Target(key, key, None, None, dtype, tensor.shape)
        return
    name, packed_as = found
    rows, columns = tensor.shape
    yield Target(key, key, name, packed_as, "U8", packed_shape(packed_as, rows, columns))
    decoder = parts.decoder
    if key.endswith("kv_b_proj.weight"):
        shape = packed_shape(
            PackedKind.INT8, decoder.heads * decoder.kv_lora_rank, decoder.nope_width
        )
        absorbed = key.removesuffix("kv_b_proj.weight") + ABSORBED
        yield Target(absorbed, key, name, PackedKind.INT8, "U8", shape)
    if key == _HEAD and packed_as is PackedKind.INT4:
        dtype = "F32" if tensor.dtype == "F16" else tensor.dtype
        yield Target(EXACT_ROWS, key, None, None, dtype, tensor.shape)


def _shard(name: str, targets: list[Target]) -> Shard:
    # Packed tensors have sizes in whole cache lines, so those that come first stay aligned.
    ordered = sorted(targets, key=lambda target: target.kind is None)
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for target in ordered:
        end = position + target.nbytes
        entries[target.key] = {
            "dtype": target.dtype,
            "shape": list(target.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)
    return Shard(name, tuple(ordered), len(text).to_bytes(8, "little") + text)


def _natural(key: str) -> list[tuple[int, str]]:
    """Experts in the order of their numbers, so that one expert's weights lie together."""
    return [(int(part) if part.isdigit() else -1, part) for part in key.split(".")]
