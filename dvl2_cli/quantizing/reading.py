"""Reading released tensors one at a time, without keeping the rest of the file in memory."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from dvl2_cli.errors import ModelError
from dvl2_cli.store.headers import TensorHeader

_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
_PIECE = 64 * 2**20


def read_tensor(key: str, header: TensorHeader) -> Tensor:
    """The tensor in memory of its own, float16 upcast to float32.

    Raises:
        ModelError: the file is unreadable or ends too early, or the dtype is no float.
    """
    dtype = _DTYPES.get(header.dtype)
    if dtype is None:
        raise ModelError(
            f"{key} in {header.file} has dtype {header.dtype}, which cannot be quantised",
            "Convert the released bf16 weights: dvl2 pull MODEL.",
        )
    tensor = torch.empty(header.shape, dtype=dtype)
    view = tensor_bytes(tensor)
    try:
        with header.file.open("rb", buffering=0) as stream:
            stream.seek(header.offset)
            position = 0
            while position < header.nbytes:
                count = stream.readinto(view[position : position + _PIECE])
                if not count:
                    raise ModelError(
                        f"{header.file} ends within {key}", "Fetch the file again: dvl2 pull MODEL."
                    )
                position += count
            _forget(stream.fileno(), header)
    except OSError as error:
        raise ModelError(
            f"{header.file} cannot be read: {error.strerror}", "Check the disk and the file."
        ) from error
    return tensor.float() if dtype is torch.float16 else tensor


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor as bytes, without a copy."""
    flat: Any = tensor.view(torch.uint8).flatten().numpy() if tensor.numel() else bytearray()
    return memoryview(flat)


def _forget(descriptor: int, header: TensorHeader) -> None:
    """Released weights are read once: leave the page cache to the copy."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, header.offset, header.nbytes, os.POSIX_FADV_DONTNEED)
