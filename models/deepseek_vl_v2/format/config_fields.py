"""The fields of ``config.json`` with the defaults of the released classes, and their ranges.

Released files omit many fields, so the defaults are part of the format. The ranges are far
beyond every release: they keep a made file from asking for a billion layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepseek_vl_v2.format.rules import flag, null, number, other, tokens, whole, word

MODEL_TYPE = "deepseek_vl_v2"
TILE_SIZE = 384
IGNORED_INDEX = -100
DTYPES = ("bfloat16", "float16", "float32")
MAX_LAYERS = 1024
MAX_WIDTH = 2**20
MAX_EXPERTS = 4096
# Of all layers together; DeepSeek-V3 has 14,848.
MAX_ALL_EXPERTS = 2**17
MAX_VOCABULARY = 2**24
MAX_CONTEXT = 2**30
MAX_PIXELS = 16384  # of a tile's side
MAX_CANVASES = 4096

Canvases = list[list[int]] | tuple[tuple[int, int], ...]


def _is_canvases(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and 0 < len(value) <= MAX_CANVASES
        and all(
            isinstance(pair, (list, tuple))
            and len(pair) == 2
            and all(type(side) is int and side > 0 for side in pair)
            for pair in value
        )
    )


def canvases() -> Any:
    """A field for the canvases that pictures are cut on, [width, height] in pixels."""
    return other(((TILE_SIZE, TILE_SIZE),), "[width, height] pairs", _is_canvases)


# transformers makes its own __repr__ and __eq__ for the classes that derive from these.
@dataclass(repr=False, eq=False)
class VisionFields:
    """``vision_config``: the SigLIP tower."""

    image_size: int = whole(TILE_SIZE, 1, MAX_PIXELS)
    patch_size: int = whole(16, 1, MAX_PIXELS)
    width: int = whole(1024, 1, MAX_WIDTH)
    layers: int = whole(24, 1, MAX_LAYERS)
    heads: int = whole(16, 1, MAX_WIDTH)
    mlp_ratio: float | int = number(4.0, 1 / 1024, 1024)
    initializer_range: float | int = number(0.02, 0, 100)


@dataclass(repr=False, eq=False)
class ProjectorFields:
    """``projector_config``: the pixel-shuffle MLP between tower and decoder."""

    projector_type: str = word("downsample_mlp_gelu", "downsample_mlp_gelu")
    input_dim: int = whole(1152, 1, MAX_WIDTH)
    n_embed: int = whole(2048, 1, MAX_WIDTH)
    depth: int = whole(2, 2, 64)
    mlp_ratio: int = whole(1, 1, 1024)
    downsample_ratio: int = whole(2, 1, 64)
    initializer_range: float | int = number(0.02, 0, 100)


@dataclass(repr=False, eq=False)
class TextFields:
    """``language_config``: the mixture-of-experts decoder.

    Without ``use_mla`` the widths of latent attention are ignored, and often 0 or null.
    """

    vocab_size: int = whole(102400, 1, MAX_VOCABULARY)
    hidden_size: int = whole(4096, 1, MAX_WIDTH)
    intermediate_size: int = whole(11008, 1, MAX_WIDTH)
    moe_intermediate_size: int = whole(1407, 1, MAX_WIDTH)
    num_hidden_layers: int = whole(30, 1, MAX_LAYERS)
    num_attention_heads: int = whole(32, 1, MAX_WIDTH)
    num_key_value_heads: int | None = whole(None, 1, MAX_WIDTH, nullable=True)
    n_shared_experts: int | None = whole(None, 0, MAX_EXPERTS, nullable=True)
    n_routed_experts: int | None = whole(None, 1, MAX_EXPERTS, nullable=True)
    routed_scaling_factor: float | int = number(1.0, -1e6, 1e6)
    kv_lora_rank: int | None = whole(512, 0, MAX_WIDTH, nullable=True)
    q_lora_rank: int | None = whole(1536, 0, MAX_WIDTH, nullable=True)
    qk_rope_head_dim: int = whole(64, 0, MAX_WIDTH)
    v_head_dim: int = whole(128, 0, MAX_WIDTH)
    qk_nope_head_dim: int = whole(128, 0, MAX_WIDTH)
    # The released default, "gready", names no method: where there are experts it must be given.
    topk_method: str | None = word("gready", "greedy", "noaux_tc")
    n_group: int | None = whole(None, 1, MAX_EXPERTS, nullable=True)
    topk_group: int | None = whole(None, 1, MAX_EXPERTS, nullable=True)
    num_experts_per_tok: int | None = whole(None, 1, MAX_EXPERTS, nullable=True)
    moe_layer_freq: int = whole(1, 1, MAX_LAYERS)
    first_k_dense_replace: int = whole(0, 0, MAX_LAYERS)
    norm_topk_prob: bool = flag(False)
    scoring_func: str = word("softmax", "softmax", "sigmoid")
    aux_loss_alpha: float | int = number(0.001, 0, 1e6)
    hidden_act: str = word("silu", "silu")
    max_position_embeddings: int = whole(2048, 1, MAX_CONTEXT)
    initializer_range: float | int = number(0.02, 0, 100)
    rms_norm_eps: float | int = number(1e-6, 0, 1)
    use_cache: bool = flag(True)
    pad_token_id: int | None = whole(None, 0, MAX_VOCABULARY, nullable=True)
    bos_token_id: int | None = whole(100000, 0, MAX_VOCABULARY, nullable=True)
    eos_token_id: int | list[int] | None = tokens(100001)
    tie_word_embeddings: bool = flag(False)
    rope_theta: float | int = number(10000.0, 1e-3, 1e12)
    rope_scaling: dict[str, Any] | None = null()
    attention_bias: bool = flag(False)
    attention_dropout: float | int = number(0.0, 0, 1)
    use_mla: bool = flag(True)


@dataclass(repr=False, eq=False)
class ModelFields:
    """``config.json`` itself, besides its tables."""

    candidate_resolutions: Canvases = canvases()
    tile_tag: str = word("2D", "2D")
    global_view_pos: str = word("head", "head", "tail")
    tie_word_embeddings: bool = flag(False)
    image_token_id: int | None = whole(None, 0, MAX_VOCABULARY, nullable=True)
