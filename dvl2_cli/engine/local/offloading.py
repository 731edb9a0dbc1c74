"""A model on its device, which an accelerator with too little memory holds in part."""

from __future__ import annotations

import torch

from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.experts_cache import expert_tensors, offload_experts


def place(model: ImageTextModel, device: torch.device, share: float) -> None:
    """Move ``model`` to ``device``, with the ``share`` (0..1) of its routed experts that fit there.

    Below 1 the experts stay where they are, and are fetched when a token is routed to them; at
    least one has room (see ``experts_cache``).
    """
    if share < 1:
        layers = model.language.model.layers
        count = sum(1 for _ in expert_tensors(layers))
        offload_experts(layers, device, max(1, int(share * count)))
    # The experts are no part of the model any more, where they are fetched.
    model.to(device)
