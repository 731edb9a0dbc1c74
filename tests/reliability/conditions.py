"""Conditions of the machine that tests bring about: no permission, no room, no such reader."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_DROP_FROM_BOUND = 24  # PR_CAPBSET_DROP of prctl(2)
_OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


def bound_by_permissions() -> None:
    """For ``preexec_fn``: permission bits bind the process even if root runs it."""
    if os.geteuid() == 0:
        library = ctypes.CDLL(None)
        for capability in _OVERRIDES:
            library.prctl(_DROP_FROM_BOUND, capability, 0, 0, 0)


def limited_to(largest: int) -> Callable[[], None]:
    """For ``preexec_fn``: a write past ``largest`` bytes of a file fails, as on a full disk."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return limit


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """``folder`` as a file system of ``size``, as tmpfs writes it; skips where none can be made."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change the options of a disk that ``small_disk`` made."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
