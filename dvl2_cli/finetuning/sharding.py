"""What FSDP needs of a network in which not every weight is used by every batch.

FSDP sums the gradients of a group of weights in one buffer, of those weights that have one.
Processes whose batches chose other experts, or hold no picture, would then disagree about its
size. So every weight gets a gradient, if only of zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.moe import MixtureOfExperts, Router


def give_every_expert_a_gradient(model: DeepseekVLV2ForCausalLM) -> None:
    """Have experts without a token take part in the loss, with zero."""
    for module in model.modules():
        if isinstance(module, MixtureOfExperts):
            module.register_forward_hook(_add_nothing)


def outside_of_layers(name: str) -> bool:
    """Whether a weight lies outside of the decoder's layers: one group, whole in ``forward``."""
    return "language.model.layers." not in name


@torch.no_grad()
def update_bias(router: Router, rate: float) -> None:
    """``router.update_bias(rate)``, also where FSDP has shared out the bias."""
    bias = getattr(router, "e_score_correction_bias", None)
    if not isinstance(bias, DTensor):
        router.update_bias(rate)
        return
    error = router.expert_load.mean() - router.expert_load
    step = rate * error.sign().to(bias.dtype)
    bias.add_(distribute_tensor(step, bias.device_mesh, bias.placements))
    router.expert_load.zero_()


def _add_nothing(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    """The mixture's output, and the sum of what each expert makes of no tokens at all."""
    assert isinstance(module, MixtureOfExperts)  # noqa: S101
    none = inputs[0].reshape(-1, inputs[0].shape[-1])[:0]
    return output + torch.stack([expert(none).sum() for expert in module.experts]).sum()
