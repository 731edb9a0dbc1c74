"""The CPU kernels that a user asked for, checked before any work."""

from __future__ import annotations

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
