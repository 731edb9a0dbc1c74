"""All experts of a layer as one wide layer, for training small experts on an accelerator."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2.moe import GatedMlp, MixtureOfExperts, Routing, sum_routed_experts

# Up to this width of all experts together one wide layer is faster than one expert at a time.
MAX_JOINED_WIDTH = 4096


def use_joined_experts(model: nn.Module) -> None:
    """Sum the experts of every layer of ``model`` by ``sum_experts``."""
    for module in model.modules():
        if isinstance(module, MixtureOfExperts):
            module.sum_experts = sum_experts


def sum_experts(experts: nn.ModuleList, flat: Tensor, routing: Routing, training: bool) -> Tensor:
    """The weighted sum of every token's experts, joined where that pays: [N, H] -> [N, H]."""
    pays = training and flat.device.type != "cpu" and can_be_joined(experts)
    if pays:
        return sum_joined_experts(experts, flat, routing)
    return sum_routed_experts(experts, flat, routing, training)


def can_be_joined(experts: nn.ModuleList) -> bool:
    """Whether the experts are plain and narrow; an adapter's layer is more than its weight."""
    plain = [cast(GatedMlp, expert) for expert in experts]
    layers = [x for e in plain for x in (e.gate_proj, e.up_proj, e.down_proj)]
    if any(type(layer) is not nn.Linear for layer in layers):
        return False
    return sum(e.gate_proj.out_features for e in plain) <= MAX_JOINED_WIDTH


def sum_joined_experts(experts: nn.ModuleList, flat: Tensor, routing: Routing) -> Tensor:
    """Every expert over every token, weighted by zero where a token was not routed to it.

    More arithmetic in few kernels: for small experts an accelerator waits far longer for launches,
    and for the host to read the counts.
    """
    weights = torch.zeros_like(routing.affinities)
    weights = weights.scatter(1, routing.experts, routing.weights)
    gate, up, down = (
        [getattr(expert, name).weight for expert in experts]
        for name in ("gate_proj", "up_proj", "down_proj")
    )
    gated = functional.silu(functional.linear(flat, torch.cat(gate)))
    gated = gated * functional.linear(flat, torch.cat(up))
    shared = gated.unflatten(1, (len(experts), -1)) * weights[..., None].to(gated.dtype)
    return functional.linear(shared.flatten(1), torch.cat(down, dim=1)).float()
