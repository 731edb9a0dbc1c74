"""Bytes of a model's weights by part: exact from a folder's headers, predicted from its config.

No weight is read. The prediction holds for plain weights and for dvl2's own packed formats;
the rule of which tensor is packed how is that of ``dvl2 quantize``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from deepseek_vl_v2.format.architecture import Architecture, DecoderArchitecture
from deepseek_vl_v2.format.tensors import UNUSED_PREFIX, expected_tensors
from dvl2_cli.planning.hardware import Hardware
from dvl2_cli.planning.packing import added_tensors, stored_bytes
from dvl2_cli.store.checkpoint import CheckpointInfo
from dvl2_cli.store.keys import EXACT_ROWS


class WeightPart(StrEnum):
    """A part of the model whose weights are used, and placed, together."""

    VISION = "vision tower"
    PROJECTOR = "projector"
    EMBEDDINGS = "embeddings"
    ATTENTION = "attention"
    DENSE = "dense layers"
    SHARED = "shared experts"
    ROUTED = "routed experts"
    ROUTER = "routers and norms"
    HEAD = "output head"


_BY_NAME = (
    # The head's rows at full precision, of which the likeliest few are read for each token.
    (EXACT_ROWS, WeightPart.EMBEDDINGS),
    (".mlp.experts.", WeightPart.ROUTED),
    (".mlp.shared_experts.", WeightPart.SHARED),
    (".mlp.gate.", WeightPart.ROUTER),
    (".mlp.", WeightPart.DENSE),
    (".self_attn.", WeightPart.ATTENTION),
    (".embed_tokens.", WeightPart.EMBEDDINGS),
    (".lm_head.", WeightPart.HEAD),
)


# Features of a CPU that multiplies bfloat16 itself.
_BFLOAT16_FEATURES = {"avx512_bf16", "amx_bf16", "bf16"}
# Of the memory that is free: the rest is for activations, the cache and everything else.
_MAX_SHARE = 0.7
_UPCAST = {
    "F16": "float16 is widened to float32",
    "BF16": "bfloat16 is upcast to float32, this CPU does not multiply it",
}


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of every part, and where the figures come from.

    ``whole``: routed experts are quantised, and cannot be moved to an accelerator one by one.
    """

    parts: Mapping[WeightPart, int]
    source: str
    whole: bool = False

    @property
    def total(self) -> int:
        """Bytes of the whole model."""
        return sum(self.parts.values())

    def read_per_token(self, decoder: DecoderArchitecture) -> int:
        """Bytes that one decoding step reads: everything but the tower and idle experts.

        The embeddings give one row.
        """
        idle = 1.0
        if decoder.experts:
            idle = decoder.experts_per_token / decoder.experts
        always = (
            WeightPart.ATTENTION,
            WeightPart.DENSE,
            WeightPart.SHARED,
            WeightPart.ROUTER,
            WeightPart.HEAD,
        )
        row = self.parts.get(WeightPart.EMBEDDINGS, 0) // decoder.vocab_size
        head = 0 if decoder.tied_head is False else self.parts.get(WeightPart.EMBEDDINGS, 0)
        fixed = sum(self.parts.get(part, 0) for part in always)
        return int(fixed + row + head + self.parts.get(WeightPart.ROUTED, 0) * idle)


def part_of(key: str) -> WeightPart:
    """The part that the tensor ``key`` (its released name) belongs to."""
    if key.startswith("vision."):
        return WeightPart.VISION
    if key.startswith("projector.") or key in ("image_newline", "view_seperator"):
        return WeightPart.PROJECTOR
    return next((part for name, part in _BY_NAME if name in key), WeightPart.ROUTER)


def weights_from_headers(sizes: Mapping[str, int]) -> Weights:
    """Add up the bytes of stored tensors, by key; the unused pooling head is not loaded."""
    return Weights(_by_part(sizes), "headers of the weight files")


def weights_held(
    info: CheckpointInfo, device: str, hardware: Hardware | None = None, cap: int | None = None
) -> Weights:
    """What a checkpoint's weights take in the memory of ``device``; see ``upcast_types``."""
    upcast = upcast_types(info, device, hardware, cap)
    weights = weights_from_headers(_sizes(info, upcast))
    if upcast:
        named = " and ".join(_UPCAST[name] for name in sorted(upcast))
        return replace(weights, source=f"{weights.source}; {named}")
    return replace(weights, whole=info.quant_method is not None)


def upcast_types(
    info: CheckpointInfo, device: str, hardware: Hardware | None = None, cap: int | None = None
) -> frozenset[str]:
    """The stored types that are held as float32 on a CPU.

    float16 always: few CPUs calculate in it. bfloat16 where ``hardware`` is known to lack its
    products, which torch then emulates four to six times slower, and float32 fits in memory.

    Args:
        info: the checkpoint; quantised copies stay as they are.
        device: where it runs.
        hardware: the machine; None upcasts no bfloat16.
        cap: bytes that ``--max-memory`` leaves, or None.
    """
    if device != "cpu" or info.quant_method is not None:
        return frozenset()
    stored = {item.dtype for item in info.tensors.values()}
    upcast = frozenset(stored & {"F16"})
    if "BF16" not in stored or hardware is None or not hardware.isa.value:
        return upcast
    if _BFLOAT16_FEATURES & set(hardware.isa.value):
        return upcast
    room = hardware.ram_available.value
    room = room if cap is None else min(room, cap)
    both = upcast | {"BF16"}
    needed = sum(weights_from_headers(_sizes(info, both)).parts.values())
    return both if needed <= _MAX_SHARE * room else upcast


def _sizes(info: CheckpointInfo, upcast: frozenset[str]) -> dict[str, int]:
    return {
        key: item.nbytes * (2 if item.dtype in upcast else 1) for key, item in info.tensors.items()
    }


def predicted_weights(parts: Architecture, quant: str) -> Weights:
    """What a copy of ``quant`` holds: none (bfloat16), int8, int4 or nf4."""
    shapes = expected_tensors(parts) | added_tensors(parts, quant)
    sizes = {key: stored_bytes(key, shape, quant) for key, shape in shapes.items()}
    return Weights(_by_part(sizes), f"config.json, as {quant}", whole=quant != "none")


def parameters(parts: Architecture) -> int:
    """Parameters of the model, without the unused pooling head."""
    shapes = expected_tensors(parts).items()
    return sum(math.prod(shape) for key, shape in shapes if not key.startswith(UNUSED_PREFIX))


def _by_part(sizes: Mapping[str, int]) -> dict[WeightPart, int]:
    counted: Counter[WeightPart] = Counter()
    for key, size in sizes.items():
        if not key.startswith(UNUSED_PREFIX):
            counted[part_of(key)] += size
    return {part: counted[part] for part in WeightPart}
