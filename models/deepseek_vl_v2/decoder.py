"""The DeepSeekMoE text decoder in plain torch."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from deepseek_vl_v2.attention import Tables, build_attention
from deepseek_vl_v2.cache import Cache
from deepseek_vl_v2.format.config import TextConfig
from deepseek_vl_v2.format.config_fields import IGNORED_INDEX
from deepseek_vl_v2.moe import GatedMlp, MixtureOfExperts, Router
from deepseek_vl_v2.norm import RMSNorm
from deepseek_vl_v2.rope import rotary_tables


class DecoderBlock(nn.Module):
    """Pre-norm attention, then a pre-norm dense MLP or mixture of experts."""

    def __init__(self, config: TextConfig, index: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = build_attention(config, index)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp: nn.Module = (
            MixtureOfExperts(config)
            if config.is_moe_layer(index)
            else GatedMlp(config.hidden_size, config.intermediate_size)
        )

    def forward(
        self,
        hidden: Tensor,
        tables: Tables,
        mask: Tensor | None,
        cache: Cache | None,
        token_mask: Tensor | None,
    ) -> Tensor:
        """[B, T, H] -> [B, T, H]."""
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), tables, mask, cache)
        normed = self.post_attention_layernorm(hidden)
        if isinstance(self.mlp, MixtureOfExperts):
            return hidden + self.mlp(normed, token_mask)  # type: ignore[no-any-return]
        return hidden + self.mlp(normed)  # type: ignore[no-any-return]


class DecoderStack(nn.Module):
    """Embeddings, layers, final norm. Who derives from it calls ``add_stack`` once."""

    layer_type: ClassVar[type[DecoderBlock]] = DecoderBlock
    config: TextConfig
    embed_tokens: nn.Embedding
    layers: Any  # nn.ModuleList of DecoderBlock; quantisers and adapters change its parts
    norm: RMSNorm

    def add_stack(self, config: TextConfig) -> None:
        """Make the parts."""
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(
            self.layer_type(config, index) for index in range(config.num_hidden_layers)
        )
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def run_layers(
        self,
        hidden: Tensor,
        position_ids: Tensor,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        token_mask: Tensor | None = None,
    ) -> list[Tensor]:
        """The input of every layer and, last, the normed final states: [B, T, H] each.

        Args:
            hidden: embeddings, [B, T, H].
            position_ids: [B or 1, T].
            mask: see the attention; None for causal attention without a cached past.
            cache: of the tokens before; extended in place.
            token_mask: [B, T], the tokens that count for the balance loss.
        """
        tables = rotary_tables(position_ids, self.config.rotary_dim, self.config.rope_theta)
        states: list[Tensor] = []
        for layer in self.layers:
            states.append(hidden)
            hidden = layer(hidden, tables, mask, cache, token_mask)
        return [*states, self.norm(hidden)]

    def balance_loss(self) -> Tensor | None:
        """Mean over layers of the balance losses of the last training forward, or None."""
        losses = [
            layer.mlp.balance_loss
            for layer in self.layers
            if isinstance(layer.mlp, MixtureOfExperts) and layer.mlp.balance_loss is not None
        ]
        return torch.stack(losses).mean() if losses else None

    def routers(self) -> list[Router]:
        """The routers, in layer order."""
        return [layer.mlp.gate for layer in self.layers if isinstance(layer.mlp, MixtureOfExperts)]


class TextModel(DecoderStack):
    """The stack as a module of its own."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.add_stack(config)


class LanguageModel(nn.Module):
    """A stack with its output head: ``language`` of the whole model."""

    model: DecoderStack
    lm_head: nn.Module

    @torch.inference_mode()
    def read(self, inputs_embeds: Tensor, cache: Cache, kept: int) -> Tensor:
        """Read [1, T, H] embeddings after the cached ones; fp32 logits [kept, V] of the last.

        The cache is extended in place.
        """
        past, length = cache.get_seq_length(), inputs_embeds.shape[1]
        positions = torch.arange(past, past + length, device=inputs_embeds.device)[None]
        mask = None
        if past and length > 1:
            ones = torch.ones(length, past + length, dtype=torch.bool, device=inputs_embeds.device)
            mask = ones.tril(past)[None, None]
        *_, hidden = self.model.run_layers(inputs_embeds, positions, mask, cache)
        return self.lm_head(hidden[0, -kept:]).float()  # type: ignore[no-any-return]


class TextForCausalLM(LanguageModel):
    """The decoder in plain torch."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.model = TextModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)


def next_token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of [B, T, V] logits against [B, T] labels, shifted by one."""
    flat = logits[:, :-1].reshape(-1, logits.shape[-1])
    target = labels[:, 1:].reshape(-1).to(flat.device)
    return nn.functional.cross_entropy(flat, target, ignore_index=IGNORED_INDEX)
