"""What a checkpoint is made of, part by part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from deepseek_vl_v2.format.tensors import expected_tensors
from dvl2_cli.plain_file import read_start
from dvl2_cli.store.checkpoint import CheckpointInfo
from dvl2_cli.store.headers import TensorHeader
from dvl2_cli.store.keys import packed_kind
from dvl2_cli.store.names import HubId
from dvl2_cli.store.records import find_record
from dvl2_cli.store.resolve import Resolved
from dvl2_cli.units import Bytes, Count

# ModelPart to the keys that belong to it; the first match counts.
_PARTS = (
    ("vision tower", r"vision\.(?!attn_pool\.)"),
    ("pooling head (unused)", r"vision\.attn_pool\."),
    ("projector", r"projector\.|image_newline|view_seperator"),
    ("embeddings", r".*\.embed_tokens\."),
    ("output head", r".*\.lm_head\."),
    ("norms", r".*(?:layernorm|model\.norm)\.weight"),
    ("attention", r".*\.self_attn\."),
    ("router", r".*\.mlp\.gate\."),
    ("routed experts", r".*\.mlp\.experts\."),
    ("shared experts", r".*\.mlp\.shared_experts\."),
    ("dense MLP", r".*\.mlp\."),
)
_PATTERNS = tuple((part, re.compile(pattern)) for part, pattern in _PARTS)


@dataclass(frozen=True, slots=True)
class ModelPart:
    """Tensors of one kind: how many, their parameters, bytes on disk and storage formats."""

    name: str
    tensors: Count
    parameters: Count
    nbytes: Bytes
    formats: tuple[str, ...]


def parts_of(info: CheckpointInfo) -> list[ModelPart]:
    """The checkpoint's tensors by part, in the order of the computation."""
    shapes = expected_tensors(info.architecture)
    groups: dict[str, list[tuple[str, TensorHeader]]] = {name: [] for name, _ in _PARTS}
    for key, tensor in info.tensors.items():
        name = next((part for part, pattern in _PATTERNS if pattern.match(key)), None)
        if name is not None:
            groups[name].append((key, tensor))
    return [
        ModelPart(
            name,
            len(members),
            sum(_product(shapes[key]) for key, _ in members if key in shapes),
            sum(tensor.nbytes for _, tensor in members),
            tuple(sorted({_format(tensor) for _, tensor in members})),
        )
        for name, members in groups.items()
        if members
    ]


def _format(tensor: TensorHeader) -> str:
    return packed_kind(tensor) or tensor.dtype.lower()


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def describe(info: CheckpointInfo) -> list[tuple[str, str]]:
    """The architecture as rows of what and how much."""
    vision, decoder = info.architecture.vision, info.architecture.decoder
    attention = f"{decoder.heads} heads"
    if decoder.use_mla:
        attention += f", MLA: latent {decoder.kv_lora_rank} + rotary {decoder.rope_width}"
    rows = [
        ("parameters", f"{info.parameters:,}"),
        ("active per token", f"{info.active_parameters:,}"),
        ("context", f"{decoder.context_length:,} tokens"),
        ("vision", f"{vision.layers} layers of {vision.width}, {vision.image_size} pixel tiles"),
        (
            "decoder",
            f"{decoder.layers} layers of {decoder.hidden_size}, {decoder.vocab_size:,} tokens",
        ),
        ("attention", attention),
    ]
    if decoder.experts is not None:
        rows.append(
            (
                "experts",
                f"{decoder.experts_per_token} of {decoder.experts} routed and "
                f"{decoder.shared_experts} shared in {decoder.moe_layers} layers, "
                f"{decoder.scoring} {decoder.topk_method} router",
            )
        )
    return rows


def licence_of(resolved: Resolved) -> str | None:
    """The licence that the hub, the model card or the licence file names."""
    if resolved.revision is not None:
        record = find_record(HubId(resolved.id), resolved.revision)
        if record is not None and record.licence:
            return record.licence
    return _from_card(resolved.folder / "README.md") or _first_line(resolved.folder / "LICENSE")


def _from_card(path: Path) -> str | None:
    match = re.match(r"---\n.*?^license(?:_name)?:\s*(\S+)", _text(path), re.DOTALL | re.MULTILINE)
    return match[1] if match else None


def _first_line(path: Path) -> str | None:
    lines = _text(path).strip().splitlines()
    return lines[0].strip()[:80] if lines else None


def _text(path: Path) -> str:
    try:
        return read_start(path, 4096).decode("utf-8", "replace")
    except OSError:
        return ""
