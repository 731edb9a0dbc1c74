"""Which device runs the model and in which type its weights are held, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dvl2_cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class Device:
    """A torch device and why it was taken; ``instead_of`` names one that was passed over."""

    name: str
    reason: str
    instead_of: str | None = None


def usable_device(requested: str, *, packed: bool = False) -> Device:
    """The device that torch can use for "auto", "cpu", "cuda", "cuda:N" or "mps".

    ``packed`` says that the weights are in dvl2's own format, which only the CPU multiplies.

    Raises:
        UsageError: the device that was asked for is not there.
    """
    if requested == "auto":
        found = _accelerator()
        if found is not None and packed:
            return Device("cpu", "the copy is packed for the CPU", instead_of=found.name)
        return found or Device("cpu", "no accelerator is there")
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[requested.split(":")[0]]:
        raise UsageError(
            f"--device is {requested}, but torch finds no such device",
            "Use --device cpu, or install a torch build for the device.",
        )
    return Device(requested, "as asked")


def _accelerator() -> Device | None:
    if torch.cuda.is_available():
        return Device("cuda", "a CUDA device is there")
    if torch.backends.mps.is_available():
        return Device("mps", "an Apple GPU is there")
    return None


def choose_dtype(device: str, quant: str) -> torch.dtype | None:
    """The type to hold weights in; None keeps the file's, which on a CPU keeps it mapped.

    GPUs before Ampere have no bf16, and get fp16; released weights are bf16.
    """
    if quant != "none" or device == "cpu":
        return None
    if device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16
