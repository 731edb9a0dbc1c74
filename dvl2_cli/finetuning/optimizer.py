"""The optimisers of a stage, and the learning rate of every step.

AdamW with betas 0.9 and 0.95 is what the paper trains with. ``optimizer = "muon"`` gives the
matrices inside the blocks to Muon (orthogonalised momentum, arXiv 2502.16982, with updates
scaled as large as AdamW's) and leaves the rest to AdamW: it needs about half as many steps
when a model starts from nothing.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from dvl2_cli.finetuning.recipe import Stage
from nano_lab.pretraining.muon import BatchedMuon

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


def build_optimizers(network: nn.Module, stage: Stage) -> list[torch.optim.Optimizer]:
    """Weight decay on matrices only; norms, biases and positions go without."""
    trained = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    matrices = [(n, p) for n, p in trained if p.dim() >= 2 and "pos_embed" not in n]
    others = [p for n, p in trained if p.dim() < 2 or "pos_embed" in n]
    rate, decay = stage.learning_rate, stage.weight_decay
    optimizers: list[torch.optim.Optimizer] = []
    if stage.optimizer == "muon":
        inner = [p for n, p in matrices if is_inner(n, p)]
        matrices = [(n, p) for n, p in matrices if not is_inner(n, p)]
        if inner:
            optimizers.append(
                BatchedMuon(
                    inner,
                    lr=rate,
                    weight_decay=decay,
                    momentum=0.95,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
    groups = [
        {"params": [p for _, p in matrices], "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return [*optimizers, torch.optim.AdamW(groups, lr=rate, betas=BETAS, fused=True)]


def is_inner(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon takes it: a matrix between two layers, not an embedding or an output."""
    outer = ("embed_tokens", "lm_head", "patch_embed", "head.", "heads.", ".gate.weight")
    return parameter.dim() == 2 and not any(part in name for part in outer)


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
