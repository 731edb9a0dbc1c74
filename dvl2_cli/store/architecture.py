"""The dimensions of a DeepSeek-VL2, read from its config.json.

Absent fields take the defaults of the released classes, which matters: the released
files omit many. Fields whose released default is unusable must be present.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvl2_cli.store.fields import Fields
from dvl2_cli.store.problems import Problem

MODEL_TYPE = "deepseek_vl_v2"


@dataclass(frozen=True, slots=True)
class VisionTower:
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
class Projector:
    """The pixel-shuffle MLP between tower and decoder."""

    input_width: int
    hidden_width: int
    output_width: int
    depth: int
    downsample_ratio: int


@dataclass(frozen=True, slots=True)
class Decoder:
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

    vision: VisionTower
    projector: Projector
    decoder: Decoder


def read_architecture(path: Path, config: dict[str, Any], problems: list[Problem]) -> Architecture:
    """The architecture that ``config`` (read from ``path``) describes; faults to ``problems``."""
    top = Fields(path, "", problems, config)
    top.one_of("tile_tag", ("2D",))
    architecture = Architecture(
        _vision(Fields(path, "vision_config", problems, config.get("vision_config"))),
        _projector(Fields(path, "projector_config", problems, config.get("projector_config"))),
        _decoder(Fields(path, "language_config", problems, config.get("language_config"))),
    )
    if not problems:
        _check_widths(top, architecture)
    return architecture


def _vision(fields: Fields) -> VisionTower:
    width = fields.integer("width", 1024)
    heads = fields.integer("heads", 16)
    if width % heads:
        fields.fault(f"has vision_config.width {width}, not divisible by heads {heads}")
    return VisionTower(
        layers=fields.integer("layers", 24),
        width=width,
        mlp_width=int(width * fields.number("mlp_ratio", 4.0)),
        patch_size=fields.integer("patch_size", 16),
        image_size=fields.integer("image_size", 384),
    )


def _projector(fields: Fields) -> Projector:
    fields.one_of("projector_type", ("downsample_mlp_gelu",), "downsample_mlp_gelu")
    if fields.flag("token_pooling", False):
        fields.fault("has projector_config.token_pooling, which no released model uses")
    output = fields.integer("n_embed", 2048)
    return Projector(
        input_width=fields.integer("input_dim", 1152),
        hidden_width=output * fields.integer("mlp_ratio", 1),
        output_width=output,
        depth=fields.integer("depth", 2, least=2),
        downsample_ratio=fields.integer("downsample_ratio", 2),
    )


def _decoder(fields: Fields) -> Decoder:
    use_mla = fields.flag("use_mla", True)
    experts = fields.optional_integer("n_routed_experts")
    heads = fields.integer("num_attention_heads", 32)
    hidden = fields.integer("hidden_size", 4096)
    if not use_mla and hidden % heads:
        fields.fault(f"has hidden_size {hidden}, not divisible by num_attention_heads {heads}")
    fields.one_of("hidden_act", ("silu",), "silu")
    if fields.present("rope_scaling"):
        fields.fault("has language_config.rope_scaling set; no released model scales its RoPE")
    routed = experts is not None
    per_token = fields.integer("num_experts_per_tok") if routed else 0
    if experts is not None and per_token > experts:
        fields.fault(f"routes to {per_token} of only {experts} experts")
    return Decoder(
        vocab_size=fields.integer("vocab_size", 102400),
        hidden_size=hidden,
        layers=fields.integer("num_hidden_layers", 30),
        heads=heads,
        kv_heads=fields.optional_integer("num_key_value_heads") or heads,
        use_mla=use_mla,
        # Ignored, and often 0 or null in the files, where attention is not MLA.
        q_lora_rank=fields.optional_integer("q_lora_rank", 1536) if use_mla else None,
        kv_lora_rank=fields.integer("kv_lora_rank", 512) if use_mla else 0,
        nope_width=fields.integer("qk_nope_head_dim", 128) if use_mla else 0,
        rope_width=fields.integer("qk_rope_head_dim", 64) if use_mla else 0,
        value_width=fields.integer("v_head_dim", 128) if use_mla else 0,
        attention_bias=fields.flag("attention_bias", False),
        dense_width=fields.integer("intermediate_size", 11008),
        expert_width=fields.integer("moe_intermediate_size", 1407),
        experts=experts,
        experts_per_token=per_token,
        shared_experts=fields.optional_integer("n_shared_experts") or 0,
        first_dense=fields.integer("first_k_dense_replace", 0, least=0),
        moe_every=fields.integer("moe_layer_freq", 1),
        # The released default, "gready", names no method: the field must be present.
        topk_method=fields.one_of("topk_method", ("greedy", "noaux_tc")) if routed else "greedy",
        scoring=fields.one_of("scoring_func", ("softmax", "sigmoid"), "softmax"),
        tied_head=fields.flag("tie_word_embeddings", False),
        context_length=fields.integer("max_position_embeddings", 2048),
    )


def _check_widths(top: Fields, parts: Architecture) -> None:
    if parts.projector.input_width != parts.vision.width:
        top.fault(
            f"has projector_config.input_dim {parts.projector.input_width} but vision_config.width "
            f"{parts.vision.width}: they must be equal"
        )
    if parts.projector.output_width != parts.decoder.hidden_size:
        top.fault(
            f"has projector_config.n_embed {parts.projector.output_width} but language_config."
            f"hidden_size {parts.decoder.hidden_size}: they must be equal"
        )
