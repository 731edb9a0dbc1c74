"""DeepSeek-VL2 as a model of transformers: loading, ``generate``, training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    GenerationMixin,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.modeling_outputs import MoeCausalLMOutputWithPast
from transformers.utils.generic import ModelOutput
from transformers.utils.hub import cached_file

from deepseek_vl_v2.configuration import HUB_ARGUMENTS, DeepseekVLV2Config
from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.format.template import IMAGE_TAG
from deepseek_vl_v2.pretrained_decoder import DeepseekVLV2TextForCausalLM
from deepseek_vl_v2.processing import DeepseekVLV2Processor
from deepseek_vl_v2.vision import AttentionPool, VisionTower


@dataclass
class ImageFeatures(ModelOutput):
    """``pooler_output``: the token sequence [n, D] of every image; the name is transformers'."""

    pooler_output: list[Tensor] | None = None


class DeepseekVLV2ForCausalLM(ImageTextModel, PreTrainedModel, GenerationMixin):
    """Answers prompts that hold images.

    ``config.image_token_id`` marks the positions that image features take; where it is not
    known, ``images_seq_mask`` must be given.
    """

    config: DeepseekVLV2Config
    language: DeepseekVLV2TextForCausalLM
    config_class = DeepseekVLV2Config
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ["image", "text"]  # noqa: RUF012
    supports_gradient_checkpointing = True
    _no_split_modules = ["DecoderLayer", "VisionBlock"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values", "cache"]  # noqa: RUF012
    _tied_weights_keys: dict[str, str] = {}  # noqa: RUF012
    _supports_sdpa = True

    def __init__(self, config: DeepseekVLV2Config) -> None:
        super().__init__(config)
        config.check_supported()
        self.add_parts(config, DeepseekVLV2TextForCausalLM(config.language))
        self.post_init()

    @classmethod
    def from_pretrained(cls, name_or_path: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Load a checkpoint in the released format; see transformers for the arguments.

        ``config.image_token_id`` is looked up in the checkpoint's tokenizer.
        """
        loaded = super().from_pretrained(name_or_path, *args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        if model.config.image_token_id is None:
            model.config.image_token_id = image_token_id(str(name_or_path), **kwargs)
        return loaded

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # The decoder initialises its own modules: it is a PreTrainedModel too.
        super()._init_weights(module)
        if module is self:
            init.normal_(self.image_newline, std=self.image_newline.numel() ** -0.5)
            init.normal_(self.view_seperator, std=self.view_seperator.numel() ** -0.5)
        elif isinstance(module, VisionTower):
            init.normal_(module.pos_embed, std=0.02)
        elif isinstance(module, AttentionPool):
            init.normal_(module.latent, std=0.02)

    def get_input_embeddings(self) -> nn.Module:
        """The token embeddings of the decoder."""
        return self.language.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embeddings of the decoder."""
        self.language.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The output head of the decoder."""
        return self.language.lm_head

    def get_image_features(
        self, pixel_values: Tensor, images_spatial_crop: Tensor, **_: Any
    ) -> ImageFeatures:
        """Tokens of every image of a batch, ready to take the places of the image tokens.

        Args:
            pixel_values: [B, tiles, 3, S, S] in [-1, 1], rows padded with unused tiles.
            images_spatial_crop: [B, images, 2], (columns, rows) of local tiles; zero rows pad.

        Returns:
            ``pooler_output``, a list of [tokens, D], one per image, in order of rows and images.
        """
        grids = images_spatial_crop.tolist()
        used = [[(c, r) for c, r in row if c and r] for row in grids]
        counts = [sum(1 + columns * rows for columns, rows in row) for row in used]
        if not any(counts):
            return ImageFeatures(pooler_output=[])
        tiles = torch.cat([row[:n] for row, n in zip(pixel_values, counts, strict=True)])
        tokens = self.encode_tiles(tiles)
        images, start = [], 0
        for columns, rows in (grid for row in used for grid in row):
            end = start + 1 + columns * rows
            images.append(self.assemble(tokens[start:end], columns, rows))
            start = end
        return ImageFeatures(pooler_output=images)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        images_seq_mask: Tensor | None = None,
        images_spatial_crop: Tensor | None = None,
        mm_encoder_outputs: Mapping[str, ImageFeatures] | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool = False,
        logits_to_keep: int | Tensor = 0,
        **_: Any,
    ) -> MoeCausalLMOutputWithPast:
        """Logits, and with ``labels`` the loss; see the decoder for the shared arguments.

        Images come as ``pixel_values`` with ``images_spatial_crop`` (see
        ``get_image_features``) or already encoded as ``mm_encoder_outputs["image"]``.
        """
        if inputs_embeds is None and input_ids is not None:
            features = self._features(pixel_values, images_spatial_crop, mm_encoder_outputs)
            inputs_embeds = self.embed(input_ids, features, images_seq_mask)
        return self.language(  # type: ignore[no-any-return]
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            labels=labels,
            use_cache=use_cache,
            output_hidden_states=output_hidden_states,
            logits_to_keep=logits_to_keep,
        )

    def _features(
        self,
        pixel_values: Tensor | None,
        images_spatial_crop: Tensor | None,
        mm_encoder_outputs: Mapping[str, ImageFeatures] | None,
    ) -> Sequence[Tensor]:
        encoded = (mm_encoder_outputs or {}).get("image")
        if encoded is None and pixel_values is not None and images_spatial_crop is not None:
            encoded = self.get_image_features(pixel_values, images_spatial_crop)
        return (encoded and encoded.pooler_output) or ()

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, input_ids: Tensor, is_first_iteration: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Images belong to the first forward only; later ones read the cache."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(  # type: ignore[misc]
            input_ids,  # type: ignore[arg-type]
            is_first_iteration=is_first_iteration,
            **kwargs,
        )
        if not is_first_iteration and kwargs.get("use_cache", True):
            for name in ("pixel_values", "images_seq_mask", "images_spatial_crop"):
                inputs.pop(name, None)
        return inputs


def image_token_id(name_or_path: str, **kwargs: Any) -> int | None:
    """The id of ``<image>`` in a checkpoint's tokenizer, or None without one.

    A ``tokenizer.json`` may lack the token: its id is then the one that the processor adds.
    """
    hub = {key: kwargs[key] for key in HUB_ARGUMENTS if key in kwargs}
    path = cached_file(
        name_or_path, "tokenizer.json", _raise_exceptions_for_missing_entries=False, **hub
    )
    if path is None:
        return None
    added = json.loads(Path(path).read_text(encoding="utf-8")).get("added_tokens", [])
    known = next((int(token["id"]) for token in added if token["content"] == IMAGE_TAG), None)
    if known is not None:
        return known
    settings = cached_file(
        name_or_path, "processor_config.json", _raise_exceptions_for_missing_entries=False, **hub
    )
    if settings is None:
        return None
    return DeepseekVLV2Processor.from_pretrained(name_or_path, **hub).tokens.image


for _auto_class in (AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText):
    _auto_class.register(DeepseekVLV2Config, DeepseekVLV2ForCausalLM, exist_ok=True)
