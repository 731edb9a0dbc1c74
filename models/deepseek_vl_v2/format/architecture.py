"""The dimensions of a DeepSeek-VL2, read from its config.json.

Absent fields take the defaults of the released classes (``config_fields``). Fields whose
released default is unusable must be present.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepseek_vl_v2.format.config_fields import (
    DTYPES,
    MAX_ALL_EXPERTS,
    ModelFields,
    ProjectorFields,
    TextFields,
    VisionFields,
)
from deepseek_vl_v2.format.rules import lacking, read_table, rule_of, wrong


@dataclass(frozen=True, slots=True)
class VisionTowerArchitecture:
    """The SigLIP tower; sizes in pixels, widths in features."""

    layers: int
    width: int
    mlp_width: int
    patch_size: int
    image_size: int

    @property
    def patches(self) -> int:
        """Patches per tile; the pixels of an incomplete last row or column are dropped."""
        return (self.image_size // self.patch_size) ** 2


@dataclass(frozen=True, slots=True)
class ProjectorArchitecture:
    """The pixel-shuffle MLP between tower and decoder."""

    input_width: int
    hidden_width: int
    output_width: int
    depth: int
    downsample_ratio: int


@dataclass(frozen=True, slots=True)
class DecoderArchitecture:
    """The mixture-of-experts decoder; ``experts`` is None where every layer is dense."""

    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    use_mla: bool
    q_lora_rank: int | None
    kv_lora_rank: int
    nope_width: int
    rope_width: int
    value_width: int
    attention_bias: bool
    dense_width: int
    expert_width: int
    experts: int | None
    experts_per_token: int
    shared_experts: int
    first_dense: int
    moe_every: int
    topk_method: str
    scoring: str
    tied_head: bool
    context_length: int

    def is_moe(self, layer: int) -> bool:
        """Whether ``layer`` has routed experts instead of one MLP."""
        return (
            self.experts is not None and layer >= self.first_dense and layer % self.moe_every == 0
        )

    @property
    def moe_layers(self) -> int:
        """How many layers have routed experts."""
        return sum(self.is_moe(layer) for layer in range(self.layers))


@dataclass(frozen=True, slots=True)
class Architecture:
    """All parts of one model."""

    vision: VisionTowerArchitecture
    projector: ProjectorArchitecture
    decoder: DecoderArchitecture


def read_architecture(config: Mapping[str, Any]) -> tuple[Architecture, list[str]]:
    """The architecture that a ``config.json`` describes, and what is wrong with the file.

    Faults are words that complete "FILE ...". With faults the architecture is a stand-in.
    """
    faults: list[str] = []
    read_table(ModelFields, "", dict(config), faults)
    if "tile_tag" not in config:
        faults.append(lacking("", "tile_tag", rule_of(ModelFields, "tile_tag").wanted))
    _check_dtypes(config, faults)
    architecture = Architecture(
        _vision(config.get("vision_config"), faults),
        _projector(config.get("projector_config"), faults),
        _decoder(config.get("language_config"), faults),
    )
    if not faults:
        _check_widths(architecture, faults)
    return architecture, faults


def _check_dtypes(config: Mapping[str, Any], faults: list[str]) -> None:
    """Transformers loads weights as the type that any of the tables names."""
    for section in ("", "vision_config", "projector_config", "language_config"):
        table = config.get(section) if section else config
        for name in ("dtype", "torch_dtype"):
            value = table.get(name) if isinstance(table, Mapping) else None
            if value is not None and not (isinstance(value, str) and value in DTYPES):
                faults.append(wrong(section, name, value, f"one of {', '.join(DTYPES)}"))


def _vision(content: Any, faults: list[str]) -> VisionTowerArchitecture:
    fields, _ = read_table(VisionFields, "vision_config", content, faults)
    if fields.width % fields.heads:
        faults.append(
            f"has vision_config.width {fields.width}, not divisible by heads {fields.heads}"
        )
    mlp_width = int(fields.width * fields.mlp_ratio)
    if not mlp_width or fields.patch_size > fields.image_size:
        faults.append("has a vision_config whose MLP has no width or whose patch exceeds its tile")
    return VisionTowerArchitecture(
        layers=fields.layers,
        width=fields.width,
        mlp_width=mlp_width,
        patch_size=fields.patch_size,
        image_size=fields.image_size,
    )


def _projector(content: Any, faults: list[str]) -> ProjectorArchitecture:
    fields, table = read_table(ProjectorFields, "projector_config", content, faults)
    if table.get("token_pooling"):
        faults.append("has projector_config.token_pooling, which no released model uses")
    return ProjectorArchitecture(
        input_width=fields.input_dim,
        hidden_width=fields.n_embed * fields.mlp_ratio,
        output_width=fields.n_embed,
        depth=fields.depth,
        downsample_ratio=fields.downsample_ratio,
    )


def _decoder(content: Any, faults: list[str]) -> DecoderArchitecture:
    if isinstance(content, dict) and content.get("n_routed_experts") is None:
        # Without experts nothing reads it.
        content = {key: value for key, value in content.items() if key != "topk_method"}
    fields, table = read_table(TextFields, "language_config", content, faults)
    if isinstance(content, dict):
        _check_attention(fields, faults)
        _check_routing(fields, table, faults)
    heads, use_mla = fields.num_attention_heads, fields.use_mla
    experts = fields.n_routed_experts
    return DecoderArchitecture(
        vocab_size=fields.vocab_size,
        hidden_size=fields.hidden_size,
        layers=fields.num_hidden_layers,
        heads=heads,
        kv_heads=fields.num_key_value_heads or heads,
        use_mla=use_mla,
        q_lora_rank=fields.q_lora_rank if use_mla else None,
        kv_lora_rank=(fields.kv_lora_rank or 0) if use_mla else 0,
        nope_width=fields.qk_nope_head_dim if use_mla else 0,
        rope_width=fields.qk_rope_head_dim if use_mla else 0,
        value_width=fields.v_head_dim if use_mla else 0,
        attention_bias=fields.attention_bias,
        dense_width=fields.intermediate_size,
        expert_width=fields.moe_intermediate_size,
        experts=experts,
        experts_per_token=(fields.num_experts_per_tok or 0) if experts is not None else 0,
        shared_experts=fields.n_shared_experts or 0,
        first_dense=fields.first_k_dense_replace,
        moe_every=fields.moe_layer_freq,
        topk_method=str(fields.topk_method) if experts is not None else "greedy",
        scoring=fields.scoring_func,
        tied_head=fields.tie_word_embeddings,
        context_length=fields.max_position_embeddings,
    )


def _check_attention(fields: TextFields, faults: list[str]) -> None:
    section, heads = "language_config", fields.num_attention_heads
    if not fields.use_mla:
        if fields.hidden_size % heads:
            faults.append(
                f"has hidden_size {fields.hidden_size}, not divisible by num_attention_heads "
                f"{heads}"
            )
        elif fields.hidden_size // heads % 2:
            faults.append(f"has heads of {fields.hidden_size // heads} channels, an odd number")
        if heads % (fields.num_key_value_heads or heads):
            faults.append(
                f"has num_attention_heads {heads}, not divisible by num_key_value_heads "
                f"{fields.num_key_value_heads}"
            )
        return
    for name in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"):
        if not getattr(fields, name):
            value = getattr(fields, name)
            faults.append(wrong(section, name, value, "a whole number of at least 1 (use_mla)"))
    if fields.q_lora_rank == 0:
        faults.append(wrong(section, "q_lora_rank", 0, "a whole number of at least 1, or null"))
    if fields.qk_rope_head_dim % 2:
        faults.append(wrong(section, "qk_rope_head_dim", fields.qk_rope_head_dim, "even"))


def _check_routing(fields: TextFields, table: Mapping[str, Any], faults: list[str]) -> None:
    section, experts = "language_config", fields.n_routed_experts
    if experts is None:
        return
    if "topk_method" not in table:
        faults.append(lacking(section, "topk_method", rule_of(TextFields, "topk_method").wanted))
    chosen = fields.num_experts_per_tok
    if chosen is None:
        faults.append(lacking(section, "num_experts_per_tok", "a whole number of at least 1"))
    elif chosen > experts:
        faults.append(f"routes to {chosen} of only {experts} experts")
    if experts * fields.num_hidden_layers > MAX_ALL_EXPERTS:
        faults.append(
            f"has {experts} experts in {fields.num_hidden_layers} layers, more than "
            f"{MAX_ALL_EXPERTS} in all"
        )
    if fields.topk_method == "noaux_tc":
        _check_groups(fields, experts, faults)


def _check_groups(fields: TextFields, experts: int, faults: list[str]) -> None:
    """Groups split the experts evenly; two experts of each say how good it is."""
    groups, kept = fields.n_group or 1, fields.topk_group or 1
    if groups == 1:
        return
    if experts % groups or experts // groups < 2:
        faults.append(f"has {experts} experts, not divisible into {groups} groups of 2 or more")
    elif kept > groups:
        faults.append(f"keeps {kept} of only {groups} groups of experts")
    elif (fields.num_experts_per_tok or 1) > kept * (experts // groups):
        faults.append(
            f"routes to {fields.num_experts_per_tok} experts of only {kept * (experts // groups)} "
            f"in {kept} groups"
        )


def _check_widths(parts: Architecture, faults: list[str]) -> None:
    if parts.projector.input_width != parts.vision.width:
        faults.append(
            f"has projector_config.input_dim {parts.projector.input_width} but vision_config.width "
            f"{parts.vision.width}: they must be equal"
        )
    if parts.projector.output_width != parts.decoder.hidden_size:
        faults.append(
            f"has projector_config.n_embed {parts.projector.output_width} but language_config."
            f"hidden_size {parts.decoder.hidden_size}: they must be equal"
        )
