"""``config.json`` as plain dataclasses, with what the network derives from the fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from deepseek_vl_v2.format.config_fields import (
    ModelFields,
    ProjectorFields,
    TextFields,
    VisionFields,
)
from deepseek_vl_v2.format.rules import Rule, wrong


@dataclass(repr=False, eq=False)
class VisionConfig(VisionFields):
    """The SigLIP tower."""

    @property
    def intermediate_size(self) -> int:
        """Width of the MLP; truncated, so 1152 * 3.7362 is 4304."""
        return int(self.width * self.mlp_ratio)

    @property
    def grid(self) -> int:
        """Patches along one side of a tile; pixels beyond the last whole patch are dropped."""
        return self.image_size // self.patch_size


@dataclass(repr=False, eq=False)
class ProjectorConfig(ProjectorFields):
    """The pixel-shuffle MLP between the tower and the decoder."""


@dataclass(repr=False, eq=False)
class TextConfig(TextFields):
    """The DeepSeekMoE decoder, with MLA (``use_mla``) or plain multi-head attention.

    When ``use_mla`` is false the MLA dimensions are ignored and a head has
    ``hidden_size / num_attention_heads`` channels.
    """

    @property
    def head_dim(self) -> int:
        """Channels of a query head that take part in the scores."""
        if self.use_mla:
            return self.qk_nope_head_dim + self.qk_rope_head_dim
        return self.hidden_size // self.num_attention_heads

    @property
    def rotary_dim(self) -> int:
        """Channels of a head that rotate with the position."""
        return self.qk_rope_head_dim if self.use_mla else self.head_dim

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
        unread = () if self.n_routed_experts is not None else ("topk_method",)
        check_fields(TextFields, "language_config", self, unread)


@dataclass(repr=False, eq=False)
class ModelConfig(ModelFields):
    """The whole model: ``config.json`` with its three tables."""

    vision: VisionConfig = field(default_factory=VisionConfig)
    projector: ProjectorConfig = field(default_factory=ProjectorConfig)
    language: TextConfig = field(default_factory=TextConfig)

    def check_supported(self) -> None:
        """Refuse what no release uses and this code does not compute.

        Raises:
            ValueError: naming the field, its value and the values that are understood.
        """
        check_fields(ModelFields, "", self)
        check_fields(VisionFields, "vision_config", self.vision)
        check_fields(ProjectorFields, "projector_config", self.projector)
        self.language.check_supported()


def read_config(folder: Path) -> tuple[ModelConfig, Mapping[str, Any]]:
    """The configuration in a checkpoint's folder, and ``config.json`` as it is written.

    Raises:
        OSError: there is no ``config.json``.
        ValueError: it is no JSON, or a field has a value that this code does not compute.
    """
    content = json.loads((folder / "config.json").read_text("utf-8"))
    if not isinstance(content, dict):
        raise ValueError("config.json holds no table")
    config = ModelConfig(
        **_values(ModelFields, content),
        vision=VisionConfig(**_values(VisionFields, content.get("vision_config"))),
        projector=ProjectorConfig(**_values(ProjectorFields, content.get("projector_config"))),
        language=TextConfig(**_values(TextFields, content.get("language_config"))),
    )
    config.check_supported()
    return config, content


def check_fields(table: type, section: str, config: object, unread: tuple[str, ...] = ()) -> None:
    """Refuse a field of ``table`` whose rule does not accept its value in ``config``.

    Raises:
        ValueError: naming the field, its value and the values that are understood.
    """
    for item in fields(table):
        rule: Rule = item.metadata["rule"]
        value = getattr(config, item.name)
        if item.name not in unread and not rule.accepts(value):
            raise ValueError(f"the configuration {wrong(section, item.name, value, rule.wanted)}")


def _values(table: type, content: Any) -> dict[str, Any]:
    known = {item.name for item in fields(table)}
    return {name: value for name, value in (content or {}).items() if name in known}
