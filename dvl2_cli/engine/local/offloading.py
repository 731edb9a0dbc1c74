"""A model on its device, which an accelerator with too little memory holds in part."""

from __future__ import annotations

import torch
from torch import nn

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.experts_cache import offload_experts
from deepseek_vl_v2.moe import MixtureOfExperts


def place(model: DeepseekVLV2ForCausalLM, device: torch.device, share: float) -> None:
    """Move ``model`` to ``device``, with the ``share`` (0..1) of its routed experts that fit there.

    Below 1 the experts stay where they are, and are fetched when a token is routed to them; at
    least one has room (see ``experts_cache``).
    """
    layers = model.language.model.layers
    moes = [layer.mlp for layer in layers if isinstance(layer.mlp, MixtureOfExperts)]
    if share >= 1:
        model.to(device)  # type: ignore[arg-type]
        return
    experts = [moe.experts for moe in moes]
    for moe in moes:
        moe.experts = nn.ModuleList()
    model.to(device)  # type: ignore[arg-type]
    for moe, own in zip(moes, experts, strict=True):
        moe.experts = own
    count = sum(len(own) for own in experts)
    offload_experts(layers, device, max(1, int(share * count)))
