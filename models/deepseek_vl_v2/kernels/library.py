"""The compiled kernels, found beside this file and called through ctypes."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_uint64, c_void_p
from functools import cache
from pathlib import Path

from deepseek_vl_v2.kernels.structures import DecoderShape, DenseAttention, Matrix, Row

INTERFACE_VERSION = 5
LIBRARY_NAME = "libdvl2_kernels" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
# Names a path, as "avx2"; "torch" or "0" runs the pure torch fallback.
SWITCH = "DVL2_KERNELS"
FALLBACK = ("torch", "0")
_ALIASES = {"avx512": "avx512-vnni", "neon": "neon-dotprod"}


class KernelError(RuntimeError):
    """The compiled kernels ran out of memory or refused their input."""


class KernelChoiceError(ValueError):
    """$DVL2_KERNELS names a path that this build or this processor does not have."""


@cache
def load_library() -> ctypes.CDLL | None:
    """The kernels, or None where they were not built, do not load, or are switched off.

    Raises:
        KernelChoiceError: $DVL2_KERNELS names a path that does not run here.
    """
    wanted = os.environ.get(SWITCH, "")
    if wanted in FALLBACK:
        return None
    library = _open_library(Path(__file__).with_name(LIBRARY_NAME))
    if not wanted:
        return library
    names = [] if library is None else path_names(library)
    name = _ALIASES.get(wanted, wanted)
    if library is None or name not in names:
        runs = ", ".join([*names, FALLBACK[0]])
        raise KernelChoiceError(f"{SWITCH} is {wanted!r}; this machine runs {runs}")
    library.dvl2_use_kernels(name.encode())
    return library


def _open_library(path: Path) -> ctypes.CDLL | None:
    if not path.is_file():
        return None
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        return None
    if library.dvl2_interface_version() != INTERFACE_VERSION:
        return None
    _declare(library)
    return library


def path_names(library: ctypes.CDLL) -> list[str]:
    """The paths that this processor runs, the fastest first."""
    found: list[str] = []
    while (name := library.dvl2_kernel_names(len(found))) is not None:
        found.append(name.decode())
    return found


def available() -> bool:
    """Whether the compiled kernels can be used."""
    return load_library() is not None


def kernel_name() -> str:
    """The path in use, as "avx512-vnni"; "torch" without compiled kernels."""
    library = load_library()
    return library.dvl2_kernel_name().decode() if library is not None else FALLBACK[0]


def use_kernels(name: str) -> bool:
    """Switch to the kernels of that name; False where this processor does not run them."""
    library = load_library()
    return library is not None and library.dvl2_use_kernels(name.encode()) == 0


def set_threads(count: int) -> None:
    """Use ``count`` threads from the next call on; 0 for one each processor core."""
    library = load_library()
    if library is not None:
        library.dvl2_set_threads(count)


def check(status: int) -> None:
    """Raise what a kernel's status stands for.

    Raises:
        MemoryError: scratch memory could not be had.
        ValueError: a weight holds infinities or NaN.
    """
    if status == -1:
        raise MemoryError("the decoder's kernels could not get scratch memory")
    if status == -2:
        raise ValueError("the weight holds infinities or NaN")
    if status != 0:
        raise KernelError(f"the kernels returned {status}")


def _declare(library: ctypes.CDLL) -> None:
    signatures: dict[str, tuple[object, list[object]]] = {
        "dvl2_kernel_name": (c_char_p, []),
        "dvl2_kernel_names": (c_char_p, [c_int]),
        "dvl2_use_kernels": (c_int, [c_char_p]),
        "dvl2_set_threads": (None, [c_int]),
        "dvl2_threads": (c_int, []),
        "dvl2_decoder_new": (c_void_p, [POINTER(DecoderShape)]),
        "dvl2_decoder_free": (None, [c_void_p]),
        "dvl2_decoder_step": (
            c_int,
            [c_void_p, POINTER(c_int32), POINTER(Row), c_int, c_void_p],
        ),
        "dvl2_decoder_project": (
            c_int,
            [c_void_p, c_int, c_void_p, POINTER(Row), c_int, c_void_p],
        ),
        "dvl2_decoder_finish": (c_int, [c_void_p, c_int, c_void_p, c_void_p, c_int]),
        "dvl2_decoder_logits": (c_int, [c_void_p, c_void_p, c_int, c_void_p]),
        "dvl2_linear": (
            c_int,
            [POINTER(Matrix), c_void_p, c_int, c_int64, POINTER(c_float), c_void_p],
        ),
        "dvl2_pack": (
            c_int,
            [c_int, c_void_p, c_int, c_int, c_int, c_void_p, POINTER(c_double)],
        ),
        "dvl2_attention": (c_int, [POINTER(DenseAttention)]),
        "dvl2_gelu": (None, [c_void_p, c_int64]),
        "dvl2_multiply": (c_int64, [c_int, c_int64]),
        "dvl2_read": (c_uint64, [c_void_p, c_int64]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
