"""Accelerators, found without importing torch: NVIDIA through the driver, Apple by platform."""

from __future__ import annotations

import ctypes
import platform
from dataclasses import dataclass
from typing import Literal

from dvl2_cli.units import Bytes, Count


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A device beside the CPU. Memory in bytes; for Apple it is shared with the CPU.

    ``capability`` is NVIDIA's compute capability (8, 0 and up multiply bfloat16), else None.
    """

    kind: Literal["cuda", "mps"]
    name: str
    memory_total: Bytes
    memory_free: Bytes
    capability: tuple[Count, ...] | None = None


class _NvmlMemory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


Found = tuple[tuple[Accelerator, ...], str]


def find_accelerators() -> Found:
    """The accelerators and how they were looked for."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return (_apple(),), "platform"
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return (), "no NVIDIA driver library"
    return _nvidia(nvml), "NVIDIA management library"


def _nvidia(nvml: ctypes.CDLL) -> tuple[Accelerator, ...]:
    if nvml.nvmlInit_v2() != 0:
        return ()
    try:
        count = ctypes.c_uint()
        nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
        found = (_nvidia_card(nvml, index) for index in range(count.value))
        return tuple(card for card in found if card is not None)
    finally:
        nvml.nvmlShutdown()


def _nvidia_card(nvml: ctypes.CDLL, index: int) -> Accelerator | None:
    handle = ctypes.c_void_p()
    memory = _NvmlMemory()
    name = ctypes.create_string_buffer(96)
    major, minor = ctypes.c_int(), ctypes.c_int()
    failed = (
        nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle))
        or nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
        or nvml.nvmlDeviceGetName(handle, name, ctypes.c_uint(len(name)))
        or nvml.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor))
    )
    if failed:
        return None
    return Accelerator(
        "cuda",
        name.value.decode("utf-8", "replace"),
        memory.total,
        memory.free,
        (major.value, minor.value),
    )


def _apple() -> Accelerator:
    import psutil

    memory = psutil.virtual_memory()
    return Accelerator("mps", f"Apple {platform.machine()}", memory.total, memory.available)
