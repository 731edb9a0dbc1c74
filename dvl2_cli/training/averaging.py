"""The mean of the weights before and after a stage (WiSE-FT, arXiv 2109.01903).

What a short stage teaches stays for the most part, and half of what it made the model forget comes
back. The weights that a stage begins with lie beside the run's states until it is over.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor, distribute_tensor

from dvl2_cli.errors import UsageError
from dvl2_cli.files import output_error
from dvl2_cli.training.whole_folder import sync


def began_file(out: Path, stage: int) -> Path:
    """Where the weights are kept that stage number ``stage`` of the run in ``out`` began with."""
    return out / f"began-{stage}.safetensors"


def keep_weights(path: Path, network: nn.Module, *, main: bool) -> None:
    """Write what ``network`` trains to ``path``; every process calls this, ``main`` writes.

    Raises:
        OutputError: it cannot be written.
    """
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    weights = get_model_state_dict(network, options=options)
    if not main:
        return
    temporary = path.with_name(f".{path.name}.part")
    try:
        save_file({k: torch.as_tensor(v).contiguous() for k, v in weights.items()}, temporary)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise output_error(path, error) from error


def check_kept(path: Path, stage: str) -> None:
    """Refuse to go on with a stage whose first weights were not kept.

    Raises:
        UsageError: the recipe did not ask for the mean when the stage began.
    """
    if not path.is_file():
        raise UsageError(
            f"stage {stage} is to be averaged with the weights it began with, which were not kept",
            "Take average out of the stage, or give another -o folder.",
        )


@torch.no_grad()
def average_with(path: Path, network: nn.Module, share: float) -> None:
    """Move what ``network`` trains by ``share`` (0..1) of the way back to ``path``'s weights."""
    began = load_file(path)
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        other = began[name.removeprefix("module.")].to(parameter.device, parameter.dtype)
        if isinstance(parameter, DTensor):
            # FSDP: every process has its share.
            other = distribute_tensor(other, parameter.device_mesh, parameter.placements)
        parameter.lerp_(other, share)
