"""The text decoder as transformers' models.

It is a ``PreTrainedModel`` of its own: transformers reads the attention implementation, and
with it the kind of mask, from the config of the module that builds the mask.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import Cache, DynamicCache
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import MoeCausalLMOutputWithPast, MoeModelOutputWithPast

from deepseek_vl_v2 import cache, decoder
from deepseek_vl_v2.configuration import DeepseekVLV2TextConfig
from deepseek_vl_v2.decoder import DecoderStack, LanguageModel, next_token_loss
from deepseek_vl_v2.moe import Router
from deepseek_vl_v2.norm import RMSNorm


class DecoderLayer(GradientCheckpointingLayer, decoder.DecoderBlock):
    """A layer whose activations transformers may compute twice instead of keeping them."""


class DeepseekVLV2PreTrainedTextModel(PreTrainedModel):
    """What transformers needs to know of the decoder."""

    config: DeepseekVLV2TextConfig
    config_class = DeepseekVLV2TextConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["DecoderLayer"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values", "cache"]  # noqa: RUF012
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # transformers' own initialisers: they leave alone what was loaded from a checkpoint.
        super()._init_weights(module)
        if isinstance(module, Router):
            init.normal_(module.weight, std=self.config.initializer_range)
            init.zeros_(module.expert_load)
            if module.corrected:
                init.zeros_(module.e_score_correction_bias)
        elif isinstance(module, RMSNorm):
            init.ones_(module.weight)


class DeepseekVLV2TextModel(DecoderStack, DeepseekVLV2PreTrainedTextModel):
    """Embeddings, layers, final norm."""

    layer_type = DecoderLayer
    config: DeepseekVLV2TextConfig

    def __init__(self, config: DeepseekVLV2TextConfig) -> None:
        super().__init__(config)
        self.add_stack(config)
        self.gradient_checkpointing = False
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool = False,
        **_: Any,
    ) -> MoeModelOutputWithPast:
        """Hidden states of a batch.

        Args:
            input_ids: [B, T] int64; or ``inputs_embeds``.
            attention_mask: [B, S] with S = cached + T, 1 where a token may be attended to.
            position_ids: [B, T]; by default counted over the attended tokens.
            past_key_values: the cache of the tokens before; extended in place.
            inputs_embeds: [B, T, H].
            use_cache: make a cache if none is given.
            output_hidden_states: also return the input of every layer and the final states.

        Raises:
            ValueError: neither or both of ``input_ids`` and ``inputs_embeds`` are given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if inputs_embeds is None:
            inputs_embeds = self.embed_tokens(input_ids)
        use_cache = self.config.use_cache if use_cache is None else use_cache
        if use_cache and past_key_values is None and not self.training:
            past_key_values = DynamicCache(config=self.config)
        length = inputs_embeds.shape[1]
        past = past_key_values.get_seq_length() if past_key_values is not None else 0
        if position_ids is None:
            position_ids = _positions(attention_mask, past, length, inputs_embeds.device)
        mask = create_causal_mask(
            config=self.config,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
        )
        token_mask = _token_mask(attention_mask, length)
        states = self.run_layers(
            inputs_embeds,
            position_ids,
            cast("Tensor | None", mask),
            cast("cache.Cache | None", past_key_values),
            token_mask,
        )
        return MoeModelOutputWithPast(
            last_hidden_state=states[-1],
            past_key_values=past_key_values,
            hidden_states=tuple(states) if output_hidden_states else None,
        )


class DeepseekVLV2TextForCausalLM(LanguageModel, DeepseekVLV2PreTrainedTextModel, GenerationMixin):
    """The decoder with its output head: ``language`` of the whole model."""

    _tied_weights_keys: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, config: DeepseekVLV2TextConfig) -> None:
        super().__init__(config)
        self.model = DeepseekVLV2TextModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool = False,
        logits_to_keep: int | Tensor = 0,
        **_: Any,
    ) -> MoeCausalLMOutputWithPast:
        """Logits [B, T', V] in fp32, and with ``labels`` the loss.

        The loss is the mean cross-entropy of the next token over labels that are not -100,
        plus ``aux_loss_alpha`` times the balance loss while training. ``aux_loss`` has the
        latter alone, unweighted. ``logits_to_keep`` limits the logits to the last positions
        (0: all).
        """
        out = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            output_hidden_states=output_hidden_states,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(out.last_hidden_state[:, kept]).float()
        loss = aux = None
        if labels is not None:
            loss = next_token_loss(logits, labels)
            aux = self.model.balance_loss() if self.training else None
            if aux is not None:
                loss = loss + self.config.aux_loss_alpha * aux
        return MoeCausalLMOutputWithPast(
            loss=loss,
            aux_loss=aux,
            logits=logits,
            past_key_values=out.past_key_values,
            hidden_states=out.hidden_states,
        )


def _positions(
    attention_mask: Tensor | None, past: int, length: int, device: torch.device
) -> Tensor:
    if attention_mask is None or attention_mask.dim() != 2:
        return torch.arange(past, past + length, device=device)[None]
    counted = attention_mask.long().cumsum(-1) - 1
    return counted.masked_fill(attention_mask == 0, 1)[:, -length:]


def _token_mask(attention_mask: Tensor | None, length: int) -> Tensor | None:
    if attention_mask is None or attention_mask.dim() != 2:
        return None
    return attention_mask[:, -length:]
