"""The dimensions of the three released models, for planning before anything is downloaded.

The 27B's are those of a public copy of its config.json. Tiny's and Small's are partly inferred:
they equal DeepSeek-OCR's decoder and DeepSeek-V2-Lite, and sum to the published parameter
counts. Once a model is on this machine its own config.json is read instead.
"""

from __future__ import annotations

from typing import Any

from deepseek_vl_v2.format.architecture import Architecture, read_architecture
from deepseek_vl_v2.format.config_fields import MODEL_TYPE

NAMES = ("tiny", "small", "base")

_VISION = {
    "layers": 27,
    "mlp_ratio": 3.7362,
    "model_name": "siglip_so400m_patch14_384",
    "model_type": "vision",
    "patch_size": 14,
    "width": 1152,
}
_MLA = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
_SOFTMAX = {"scoring_func": "softmax", "topk_method": "greedy", "norm_topk_prob": False}
_SHARED = {
    "first_k_dense_replace": 1,
    "max_position_embeddings": 4096,
    "model_type": "deepseek_v2",
    "n_group": 1,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "q_lora_rank": None,
    "topk_group": 1,
}
_LANGUAGE: dict[str, dict[str, Any]] = {
    "tiny": {
        "bos_token_id": 0, "eos_token_id": 1, "hidden_size": 1280, "intermediate_size": 6848,
        "kv_lora_rank": None, "moe_intermediate_size": 896, "n_routed_experts": 64,
        "num_attention_heads": 10, "num_hidden_layers": 12, "num_key_value_heads": 10,
        "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "use_mla": False, "v_head_dim": 0,
        "vocab_size": 129280, **_SOFTMAX,
    },
    "small": {
        "bos_token_id": 100000, "eos_token_id": 100001, "hidden_size": 2048,
        "intermediate_size": 10944, "moe_intermediate_size": 1408, "n_routed_experts": 64,
        "num_attention_heads": 16, "num_hidden_layers": 27, "vocab_size": 102400,
        **_MLA, **_SOFTMAX,
    },
    "base": {
        "bos_token_id": 0, "eos_token_id": 1, "hidden_size": 2560, "intermediate_size": 12288,
        "moe_intermediate_size": 1536, "n_routed_experts": 72, "norm_topk_prob": True,
        "num_attention_heads": 32, "num_hidden_layers": 30, "routed_scaling_factor": 2.0,
        "scoring_func": "sigmoid", "topk_method": "noaux_tc", "vocab_size": 129280, **_MLA,
    },
}  # fmt: skip


def released_config(name: str) -> dict[str, Any]:
    """``config.json`` of "tiny", "small" or "base", as far as it is known.

    Raises:
        KeyError: no such model.
    """
    language = {**_SHARED, **_LANGUAGE[name]}
    canvases = [[384 * c, 384 * r] for c in range(1, 10) for r in range(1, 10) if c * r <= 9]
    return {
        "candidate_resolutions": sorted(canvases, key=lambda size: size[0] * size[1]),
        "global_view_pos": "head",
        "language_config": language,
        "model_type": MODEL_TYPE,
        "projector_config": {"model_type": "mlp_projector", "n_embed": language["hidden_size"]},
        "tile_tag": "2D",
        "torch_dtype": "bfloat16",
        "vision_config": _VISION,
    }


def released_architecture(name: str) -> Architecture:
    """The dimensions of "tiny", "small" or "base".

    Raises:
        KeyError: no such model.
    """
    return read_architecture(released_config(name))[0]
