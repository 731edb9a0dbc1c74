"""The CPU kernels that a user asked for, checked before any work."""

from __future__ import annotations

import os
from pathlib import Path

from deepseek_vl_v2.kernels import library
from dvl2_cli.errors import UsageError


def check_kernels() -> None:
    """Find the CPU kernels.

    Raises:
        UsageError: $DVL2_KERNELS names a path that does not run here.
    """
    try:
        library.load_library()
    except library.KernelChoiceError as error:
        raise UsageError(str(error), f"Unset {library.SWITCH}, or name one of these.") from error


def why_slow() -> str | None:
    """Why torch alone runs the model on a CPU; None where the kernels do.

    Raises:
        UsageError: see ``check_kernels``.
    """
    check_kernels()
    if library.available():
        return None
    if (chosen := os.environ.get(library.SWITCH)) in library.FALLBACK:
        reason = f"{library.SWITCH} is {chosen}"
    elif not Path(library.__file__).with_name(library.LIBRARY_NAME).is_file():
        reason = "they were not built"
    else:
        reason = "they do not load"
    return f"answers are slow without the compiled kernels: {reason}; dvl2 doctor says more"
