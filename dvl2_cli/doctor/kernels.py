"""The compiled CPU kernels: which are used and why, and whether they compute what torch does."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.doctor.check import Check, Status, ok

if TYPE_CHECKING:
    from deepseek_vl_v2.quantized_format import PackedKind

GROUP = "kernels"
# Of the largest possible sum; float32 sums in another order stay far below.
_TOLERANCE = 1e-6
_ROWS, _COLUMNS, _STATES = 70, 130, 20
_BUILD = f"{sys.executable} -m deepseek_vl_v2.kernels.build"


def kernel_checks() -> Iterator[Check]:
    """The path in use, and for each packed format a small product against torch."""
    from deepseek_vl_v2.kernels import library
    from deepseek_vl_v2.quantized_format import PackedKind

    try:
        loaded = library.load_library()
    except library.KernelChoiceError as error:
        remedy = f"Unset {library.SWITCH}, or name one of these."
        yield Check(GROUP, "path", Status.FAILED, "none", str(error), remedy)
        return
    if loaded is not None:
        forced = os.environ.get(library.SWITCH)
        others = ", ".join(library.path_names(loaded))
        reason = f"{library.SWITCH}={forced}" if forced else "the fastest that this processor runs"
        yield ok(GROUP, "path", library.kernel_name(), f"{reason}, of {others}")
    else:
        yield _why_torch(Path(library.__file__).with_name(library.LIBRARY_NAME), library.SWITCH)
    for kind in PackedKind:
        yield _product(kind)


def _why_torch(path: Path, switch: str) -> Check:
    """Why the kernels are not used; everything then runs in torch alone."""
    from deepseek_vl_v2.kernels.library import FALLBACK

    if (chosen := os.environ.get(switch)) in FALLBACK:
        reason, remedy = f"{switch}={chosen} switches the kernels off", f"Unset {switch}."
    elif not path.is_file():
        from deepseek_vl_v2.kernels.build import compiler

        found = compiler()
        reason = f"the kernels were not built: there is no {path.name}"
        remedy = f"Build them: {_BUILD}"
        if found is None:
            reason += ", and no C++ compiler"
            remedy = f"Install g++ or clang++, then: {_BUILD}"
    else:
        reason, remedy = _why_not_loaded(path), f"Build them again: {_BUILD}"
    return Check(GROUP, "path", Status.WARNING, "torch, which is slower", reason, remedy)


def _why_not_loaded(path: Path) -> str:
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        return f"the built kernels do not load: {error}"
    return f"{path.name} was built from another version of the sources"


def _product(kind: PackedKind) -> Check:
    """A packed weight times some states, as the model does it and by torch in double."""
    import torch

    from deepseek_vl_v2.kernels import library
    from deepseek_vl_v2.quantized_format import dequantise
    from deepseek_vl_v2.quantized_linear import packed_product, rounded_activations
    from deepseek_vl_v2.quantized_rounding import quantise

    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(_ROWS, _COLUMNS, generator=generator)
    states = torch.randn(_STATES, _COLUMNS, generator=generator)
    packed = quantise(weight, kind).data
    found = packed_product(packed, _ROWS, states, None).double()
    plain = dequantise(packed, _ROWS, _COLUMNS, torch.float32).double()
    expected = rounded_activations(states).double() @ plain.T
    scale = float(states.abs().max() * weight.abs().max()) * _COLUMNS
    error = float((found - expected).abs().max()) / scale
    name = f"{kind.value} product"
    shown = f"differs from torch in double by {error:.1e} of its range"
    if error <= _TOLERANCE:  # not so for NaN
        return ok(GROUP, name, shown, f"by the {library.kernel_name()} path")
    remedy = f"Set {library.SWITCH}=0 to run in torch alone, and report this machine's CPU."
    return Check(GROUP, name, Status.FAILED, shown, f"at most {_TOLERANCE:.0e} is right", remedy)
