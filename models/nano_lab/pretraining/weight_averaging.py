"""The mean of the weights before and after a stage (WiSE-FT, arXiv 2109.01903).

What a short stage teaches stays for the most part, and half of what it made the model forget comes
back. The weights that a stage begins with lie beside the run's states until it is over.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.state import NETWORK, save_weights, shared_like
from dvl2_cli.finetuning.whole_folder import write_folder


def began_folder(out: Path, stage: int) -> Path:
    """Where the weights are kept that stage number ``stage`` of the run in ``out`` began with."""
    return out / f"began-{stage}"


def keep_weights(folder: Path, network: nn.Module, *, main: bool) -> None:
    """Write what ``network`` trains to ``folder``; every process calls this, ``main`` writes.

    Raises:
        OutputError: it cannot be written.
    """
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    weights = get_model_state_dict(network, options=options)
    if main:
        write_folder(folder, lambda part: save_weights(weights, part / NETWORK))


def check_kept(folder: Path, stage: str) -> None:
    """Refuse to go on with a stage whose first weights were not kept.

    Raises:
        UsageError: the recipe did not ask for the mean when the stage began.
    """
    if not folder.is_dir():
        raise UsageError(
            f"stage {stage} is to be averaged with the weights it began with, which were not kept",
            "Take weight_average out of the stage, or give another -o folder.",
        )


@torch.no_grad()
def average_with(folder: Path, network: nn.Module, share: float) -> None:
    """Move what ``network`` trains by ``share`` (0..1) of the way back to ``folder``'s weights."""
    began = load_file(folder / NETWORK)
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        other = began[name.removeprefix("module.")].to(parameter.device, parameter.dtype)
        parameter.lerp_(shared_like(parameter, other), share)
