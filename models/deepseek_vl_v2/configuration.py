"""Configurations of the vision tower, the projector, the decoder and the whole model.

Field names and defaults are those of the released ``config.json`` files and of the code
that reads them upstream: released files omit many fields, so the defaults are part of the
format. Unknown fields are kept and written back.
"""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

IGNORED_INDEX = -100
TILE_SIZE = 384
# Arguments of from_pretrained that say where a file comes from.
HUB_ARGUMENTS = (
    "revision",
    "cache_dir",
    "local_files_only",
    "token",
    "force_download",
    "subfolder",
)


@strict
class DeepseekVLV2VisionConfig(PreTrainedConfig):
    """The SigLIP tower. ``patch_size`` is 14 in every release though the default is 16."""

    model_type = "vision"
    base_config_key = "vision_config"
    attribute_map = {  # noqa: RUF012
        "hidden_size": "width",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
    }

    image_size: int = TILE_SIZE
    patch_size: int = 16
    width: int = 1024
    layers: int = 24
    heads: int = 16
    mlp_ratio: float | int = 4.0
    initializer_range: float = 0.02

    @property
    def intermediate_size(self) -> int:
        """Width of the MLP; truncated, so 1152 * 3.7362 is 4304."""
        return int(self.width * self.mlp_ratio)

    @property
    def grid(self) -> int:
        """Patches along one side of a tile; pixels beyond the last whole patch are dropped."""
        return self.image_size // self.patch_size


@strict
class DeepseekVLV2ProjectorConfig(PreTrainedConfig):
    """The pixel-shuffle MLP between the tower and the decoder."""

    model_type = "mlp_projector"
    base_config_key = "projector_config"

    projector_type: str = "downsample_mlp_gelu"
    input_dim: int = 1152
    n_embed: int = 2048
    depth: int = 2
    mlp_ratio: int = 1
    downsample_ratio: int = 2
    initializer_range: float = 0.02


@strict
class DeepseekVLV2TextConfig(PreTrainedConfig):
    """The DeepSeekMoE decoder, with MLA (``use_mla``) or plain multi-head attention.

    When ``use_mla`` is false the MLA dimensions are ignored and a head has
    ``hidden_size / num_attention_heads`` channels.
    """

    model_type = "deepseek_v2"
    base_config_key = "language_config"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012

    vocab_size: int = 102400
    hidden_size: int = 4096
    intermediate_size: int = 11008
    moe_intermediate_size: int = 1407
    num_hidden_layers: int = 30
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    n_shared_experts: int | None = None
    n_routed_experts: int | None = None
    routed_scaling_factor: float | int = 1.0
    kv_lora_rank: int | None = 512
    q_lora_rank: int | None = 1536
    qk_rope_head_dim: int = 64
    v_head_dim: int = 128
    qk_nope_head_dim: int = 128
    topk_method: str = "gready"
    n_group: int | None = None
    topk_group: int | None = None
    num_experts_per_tok: int | None = None
    moe_layer_freq: int = 1
    first_k_dense_replace: int = 0
    norm_topk_prob: bool = False
    scoring_func: str = "softmax"
    aux_loss_alpha: float | int = 0.001
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    use_cache: bool = True
    pad_token_id: int | None = None
    bos_token_id: int | None = 100000
    eos_token_id: int | list[int] | None = 100001
    tie_word_embeddings: bool = False
    rope_theta: float | int = 10000.0
    rope_scaling: dict[str, Any] | None = None
    attention_bias: bool = False
    attention_dropout: float | int = 0.0
    use_mla: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Channels of a query head that take part in the scores."""
        if self.use_mla:
            return self.qk_nope_head_dim + self.qk_rope_head_dim
        return self.hidden_size // self.num_attention_heads

    def is_moe_layer(self, index: int) -> bool:
        """Whether layer ``index`` routes to experts; the first ones are dense."""
        return (
            self.n_routed_experts is not None
            and index >= self.first_k_dense_replace
            and index % self.moe_layer_freq == 0
        )

    def check_supported(self) -> None:
        """Refuse what no release uses and this code does not compute.

        Raises:
            ValueError: naming the field, its value and the values that are understood.
        """
        if self.topk_method not in ("greedy", "noaux_tc"):
            raise ValueError(
                f"language_config.topk_method is {self.topk_method!r}; "
                "supported are 'greedy' and 'noaux_tc'"
            )
        if self.scoring_func not in ("softmax", "sigmoid"):
            raise ValueError(
                f"language_config.scoring_func is {self.scoring_func!r}; "
                "supported are 'softmax' and 'sigmoid'"
            )
        if self.rope_scaling is not None:
            raise ValueError("language_config.rope_scaling is set; only null is supported")
        if self.hidden_act != "silu":
            raise ValueError(
                f"language_config.hidden_act is {self.hidden_act!r}; only 'silu' is supported"
            )


@strict
class DeepseekVLV2Config(PreTrainedConfig):
    """The whole model; reads the released ``config.json`` verbatim.

    ``image_token_id`` is not in released files: it is looked up in the tokenizer when a
    checkpoint is loaded.
    """

    model_type = "deepseek_vl_v2"
    sub_configs_defaults = {  # noqa: RUF012
        "vision_config": SubConfigSpec(config_class=DeepseekVLV2VisionConfig),
        "projector_config": SubConfigSpec(config_class=DeepseekVLV2ProjectorConfig),
        "language_config": SubConfigSpec(config_class=DeepseekVLV2TextConfig),
    }

    vision_config: dict[str, Any] | PreTrainedConfig | None = None
    projector_config: dict[str, Any] | PreTrainedConfig | None = None
    language_config: dict[str, Any] | PreTrainedConfig | None = None
    candidate_resolutions: list[list[int]] | tuple[tuple[int, int], ...] = ((384, 384),)
    global_view_pos: str = "head"
    tile_tag: str = "2D"
    image_token_id: int | None = None
    tie_word_embeddings: bool = False

    @property
    def vision(self) -> DeepseekVLV2VisionConfig:
        """``vision_config`` with its exact type."""
        assert isinstance(self.vision_config, DeepseekVLV2VisionConfig)  # noqa: S101
        return self.vision_config

    @property
    def projector(self) -> DeepseekVLV2ProjectorConfig:
        """``projector_config`` with its exact type."""
        assert isinstance(self.projector_config, DeepseekVLV2ProjectorConfig)  # noqa: S101
        return self.projector_config

    @property
    def language(self) -> DeepseekVLV2TextConfig:
        """``language_config`` with its exact type."""
        assert isinstance(self.language_config, DeepseekVLV2TextConfig)  # noqa: S101
        return self.language_config

    def get_text_config(
        self, decoder: bool | None = None, encoder: bool | None = None
    ) -> PreTrainedConfig:
        """The decoder's configuration, which ``generate`` sizes its cache by."""
        return self.language

    def check_supported(self) -> None:
        """Refuse what no release uses and this code does not compute.

        Raises:
            ValueError: naming the field, its value and the values that are understood.
        """
        if self.tile_tag != "2D":
            raise ValueError(f"tile_tag is {self.tile_tag!r}; only '2D' is supported")
        projector = self.projector
        if projector.projector_type != "downsample_mlp_gelu" or projector.depth < 1:
            raise ValueError(
                f"projector_config.projector_type is {projector.projector_type!r}; "
                "only 'downsample_mlp_gelu' is supported"
            )
        self.language.check_supported()
