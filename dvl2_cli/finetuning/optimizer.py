"""The optimiser of a stage, and the learning rate of every step.

AdamW with betas 0.9 and 0.95 is what the paper trains with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from dvl2_cli.finetuning.recipe import Stage

BETAS = (0.9, 0.95)


def freeze(model: nn.Module, stage: Stage) -> None:
    """Let only the stage's parts be trained, see ``part_of``; with an adapter, only that."""
    adapted = any(is_adapter(name) for name, _ in model.named_parameters())
    for name, parameter in model.named_parameters():
        wanted = part_of(name) in stage.train and (is_adapter(name) or not adapted)
        # The pooling head is in the format, but nothing reads it.
        parameter.requires_grad = wanted and "attn_pool" not in name
        if name.endswith("e_score_correction_bias"):
            parameter.requires_grad = False


def is_adapter(name: str) -> bool:
    """Whether a parameter of the model belongs to a LoRA adapter."""
    return ".lora_" in name


def part_of(name: str) -> str:
    """The part (see recipe.PARTS) that a parameter of the model belongs to.

    The separators between rows and views are part of the adaptor.
    """
    first = name.split(".", 1)[0]
    return "projector" if first in ("image_newline", "view_seperator") else first


def trained_parameters(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters of what a stage trains; see ``freeze``."""
    return [(n, p) for n, p in network.named_parameters() if p.requires_grad]


def is_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether weights decay; norms, biases and positions do not."""
    return parameter.dim() >= 2 and "pos_embed" not in name


def adamw(trained: Sequence[tuple[str, nn.Parameter]], stage: Stage) -> torch.optim.AdamW:
    """AdamW for ``trained``, with weight decay on matrices only."""
    groups = [
        {
            "params": [p for n, p in trained if is_matrix(n, p)],
            "weight_decay": stage.weight_decay,
        },
        {"params": [p for n, p in trained if not is_matrix(n, p)], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=stage.learning_rate, betas=BETAS, fused=True)


def learning_rate(stage: Stage, step: int) -> float:
    """The rate of ``step`` (from 0): linear warm-up, then the stage's schedule.

    "cosine" falls to ``final`` of the peak over the whole stage; "wsd" stays and falls
    linearly over the last ``decay`` steps; "constant" stays.
    """
    peak = stage.learning_rate
    if step < stage.warmup:
        return peak * (step + 1) / stage.warmup
    if stage.schedule == "cosine":
        done = (step - stage.warmup) / max(1, stage.steps - stage.warmup)
        return peak * (
            stage.final + (1 - stage.final) * 0.5 * (1 + math.cos(math.pi * min(1, done)))
        )
    left = stage.steps - step
    if stage.schedule == "wsd" and left < stage.decay:
        return peak * (stage.final + (1 - stage.final) * left / stage.decay)
    return peak
