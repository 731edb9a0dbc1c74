"""Configurations of the vision tower, the projector, the decoder and the whole model.

The fields, their defaults and ranges are those of ``format.config_fields``. Unknown fields are
kept and written back.
"""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from deepseek_vl_v2.format import config_fields as format_fields
from deepseek_vl_v2.format.config import ProjectorConfig, TextConfig, VisionConfig, check_fields

# Arguments of from_pretrained that say where a file comes from.
HUB_ARGUMENTS = (
    "revision",
    "cache_dir",
    "local_files_only",
    "token",
    "force_download",
    "subfolder",
)


class _OwnNames(PreTrainedConfig):
    """A configuration whose properties and methods no unknown field of a file can hide."""

    def __post_init__(self, **kwargs: Any) -> None:
        unknown = {name: value for name, value in kwargs.items() if not _is_own(type(self), name)}
        super().__post_init__(**unknown)


def _is_own(kind: type, name: str) -> bool:
    """Whether ``name`` is a method or a read-only property of ``kind``."""
    found = getattr(kind, name, None)
    return callable(found) or (isinstance(found, property) and found.fset is None)


@strict
class DeepseekVLV2VisionConfig(VisionConfig, _OwnNames):
    """The SigLIP tower. ``patch_size`` is 14 in every release though the default is 16."""

    model_type = "vision"
    base_config_key = "vision_config"
    attribute_map = {  # noqa: RUF012
        "hidden_size": "width",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
    }


@strict
class DeepseekVLV2ProjectorConfig(ProjectorConfig, _OwnNames):
    """The pixel-shuffle MLP between the tower and the decoder."""

    model_type = "mlp_projector"
    base_config_key = "projector_config"


@strict
class DeepseekVLV2TextConfig(TextConfig, _OwnNames):
    """The DeepSeekMoE decoder, with MLA (``use_mla``) or plain multi-head attention.

    When ``use_mla`` is false the MLA dimensions are ignored and a head has
    ``hidden_size / num_attention_heads`` channels.
    """

    model_type = "deepseek_v2"
    base_config_key = "language_config"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012

    def __post_init__(self, **kwargs: Any) -> None:
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        super().__post_init__(**kwargs)


@strict
class DeepseekVLV2Config(format_fields.ModelFields, _OwnNames):
    """The whole model; reads the released ``config.json`` verbatim.

    ``image_token_id`` is not in released files: it is looked up in the tokenizer when a
    checkpoint is loaded.
    """

    model_type = format_fields.MODEL_TYPE
    sub_configs_defaults = {  # noqa: RUF012
        "vision_config": SubConfigSpec(config_class=DeepseekVLV2VisionConfig),
        "projector_config": SubConfigSpec(config_class=DeepseekVLV2ProjectorConfig),
        "language_config": SubConfigSpec(config_class=DeepseekVLV2TextConfig),
    }

    vision_config: dict[str, Any] | PreTrainedConfig | None = None
    projector_config: dict[str, Any] | PreTrainedConfig | None = None
    language_config: dict[str, Any] | PreTrainedConfig | None = None

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
        check_fields(format_fields.ModelFields, "", self)
        check_fields(format_fields.VisionFields, "vision_config", self.vision)
        check_fields(format_fields.ProjectorFields, "projector_config", self.projector)
        self.language.check_supported()


AutoConfig.register(DeepseekVLV2Config.model_type, DeepseekVLV2Config, exist_ok=True)
