"""Every tensor that a DeepSeek-VL2 of given dimensions has: released key name to shape.

Linear weights are [out, in].
"""

from __future__ import annotations

from collections.abc import Iterator

from deepseek_vl_v2.format.architecture import (
    Architecture,
    DecoderArchitecture,
    ProjectorArchitecture,
    VisionTowerArchitecture,
)

Shape = tuple[int, ...]
Named = Iterator[tuple[str, Shape]]

# Released but not used by the model: a checkpoint may leave the whole part out.
UNUSED_PREFIX = "vision.attn_pool."
_TILE_CHANNELS = 3


def expected_tensors(parts: Architecture) -> dict[str, Shape]:
    """Key to shape of every tensor, the unused attention pool included."""
    width = parts.projector.output_width
    return {
        "image_newline": (width,),
        "view_seperator": (width,),  # spelt so in the released files
        **dict(_vision(parts.vision)),
        **dict(_projector(parts.projector)),
        **dict(_decoder(parts.decoder)),
    }


def _linear(name: str, rows: int, columns: int, *, bias: bool) -> Named:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (rows,)


def _layer_norm(name: str, width: int) -> Named:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _vision(tower: VisionTowerArchitecture) -> Named:
    width, mlp_width, patch = tower.width, tower.mlp_width, tower.patch_size
    yield "vision.pos_embed", (1, tower.patches, width)
    yield "vision.patch_embed.proj.weight", (width, _TILE_CHANNELS, patch, patch)
    yield "vision.patch_embed.proj.bias", (width,)
    for layer in range(tower.layers):
        block = f"vision.blocks.{layer}"
        yield from _layer_norm(f"{block}.norm1", width)
        yield from _linear(f"{block}.attn.qkv", 3 * width, width, bias=True)
        yield from _linear(f"{block}.attn.proj", width, width, bias=True)
        yield from _layer_norm(f"{block}.norm2", width)
        yield from _linear(f"{block}.mlp.fc1", mlp_width, width, bias=True)
        yield from _linear(f"{block}.mlp.fc2", width, mlp_width, bias=True)
    yield from _layer_norm("vision.norm", width)
    pool = UNUSED_PREFIX.removesuffix(".")
    yield f"{pool}.latent", (1, 1, width)
    yield from _linear(f"{pool}.q", width, width, bias=True)
    yield from _linear(f"{pool}.kv", 2 * width, width, bias=True)
    yield from _linear(f"{pool}.proj", width, width, bias=True)
    yield from _layer_norm(f"{pool}.norm", width)
    yield from _linear(f"{pool}.mlp.fc1", mlp_width, width, bias=True)
    yield from _linear(f"{pool}.mlp.fc2", width, mlp_width, bias=True)


def _projector(projector: ProjectorArchitecture) -> Named:
    columns = projector.input_width * projector.downsample_ratio**2
    for step in range(projector.depth):
        last = step == projector.depth - 1
        rows = projector.output_width if last else projector.hidden_width
        # The odd places hold the activation.
        yield from _linear(f"projector.layers.{2 * step}", rows, columns, bias=True)
        columns = rows


def _decoder(decoder: DecoderArchitecture) -> Named:
    hidden = decoder.hidden_size
    yield "language.model.embed_tokens.weight", (decoder.vocab_size, hidden)
    for layer in range(decoder.layers):
        prefix = f"language.model.layers.{layer}"
        yield f"{prefix}.input_layernorm.weight", (hidden,)
        yield f"{prefix}.post_attention_layernorm.weight", (hidden,)
        attention = _mla if decoder.use_mla else _mha
        yield from attention(f"{prefix}.self_attn", decoder)
        if decoder.is_moe(layer):
            yield from _moe(f"{prefix}.mlp", decoder)
        else:
            yield from _mlp(f"{prefix}.mlp", hidden, decoder.dense_width)
    yield "language.model.norm.weight", (hidden,)
    if not decoder.tied_head:
        yield "language.lm_head.weight", (decoder.vocab_size, hidden)


def _mha(name: str, decoder: DecoderArchitecture) -> Named:
    hidden, bias = decoder.hidden_size, decoder.attention_bias
    kv_width = decoder.kv_heads * (hidden // decoder.heads)
    yield from _linear(f"{name}.q_proj", hidden, hidden, bias=bias)
    yield from _linear(f"{name}.k_proj", kv_width, hidden, bias=bias)
    yield from _linear(f"{name}.v_proj", kv_width, hidden, bias=bias)
    yield from _linear(f"{name}.o_proj", hidden, hidden, bias=bias)


def _mla(name: str, decoder: DecoderArchitecture) -> Named:
    hidden, bias = decoder.hidden_size, decoder.attention_bias
    query_width = decoder.heads * (decoder.nope_width + decoder.rope_width)
    if decoder.q_lora_rank is None:
        yield from _linear(f"{name}.q_proj", query_width, hidden, bias=False)
    else:
        yield from _linear(f"{name}.q_a_proj", decoder.q_lora_rank, hidden, bias=bias)
        yield f"{name}.q_a_layernorm.weight", (decoder.q_lora_rank,)
        yield from _linear(f"{name}.q_b_proj", query_width, decoder.q_lora_rank, bias=False)
    latent = decoder.kv_lora_rank
    key_value_width = decoder.heads * (decoder.nope_width + decoder.value_width)
    yield from _linear(f"{name}.kv_a_proj_with_mqa", latent + decoder.rope_width, hidden, bias=bias)
    yield f"{name}.kv_a_layernorm.weight", (latent,)
    yield from _linear(f"{name}.kv_b_proj", key_value_width, latent, bias=False)
    yield from _linear(f"{name}.o_proj", hidden, decoder.heads * decoder.value_width, bias=bias)


def _moe(name: str, decoder: DecoderArchitecture) -> Named:
    experts = decoder.experts or 0
    yield f"{name}.gate.weight", (experts, decoder.hidden_size)
    if decoder.topk_method == "noaux_tc":
        yield f"{name}.gate.e_score_correction_bias", (experts,)
    for expert in range(experts):
        yield from _mlp(f"{name}.experts.{expert}", decoder.hidden_size, decoder.expert_width)
    if decoder.shared_experts:
        width = decoder.expert_width * decoder.shared_experts
        yield from _mlp(f"{name}.shared_experts", decoder.hidden_size, width)


def _mlp(name: str, hidden: int, width: int) -> Named:
    yield from _linear(f"{name}.gate_proj", width, hidden, bias=False)
    yield from _linear(f"{name}.up_proj", width, hidden, bias=False)
    yield from _linear(f"{name}.down_proj", hidden, width, bias=False)
