"""A matrix times many vectors by the compiled kernels."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.kernels.structures import Matrix


def compiled_linear(matrix: Matrix, flat: Tensor, bias: Tensor | None = None) -> Tensor:
    """[N, columns] -> [N, rows] in bfloat16 where the input is, else in float32.

    The kernels must be there. A row of the result has the same bits whatever rows are beside it.

    Args:
        matrix: plain or packed; what it points to must live.
        flat: inputs, on the CPU.
        bias: [rows], or None.
    """
    library = kernels.load_library()
    assert library is not None  # noqa: S101
    half = flat.dtype is torch.bfloat16
    states = flat.contiguous() if half else flat.float().contiguous()
    out = torch.empty(len(states), matrix.rows, dtype=states.dtype)
    wide_bias = None if bias is None else bias.float().contiguous()
    pointer = ctypes.POINTER(ctypes.c_float)
    kernels.check(
        library.dvl2_linear(
            ctypes.byref(matrix),
            states.data_ptr(),
            half,
            len(states),
            None if wide_bias is None else ctypes.cast(wide_bias.data_ptr(), pointer),
            out.data_ptr(),
        )
    )
    return out
