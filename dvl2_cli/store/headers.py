"""Reading what a safetensors file holds from its header alone: no torch, no weights.

The format: 8 bytes little-endian header length N, N bytes of JSON
``{name: {dtype, shape, data_offsets}}``, then the tensors without gaps.
Source: the safetensors format description, https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Bytes per element of every dtype that a checkpoint of ours may hold.
DTYPE_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}
_LENGTH_BYTES = 8
_LARGEST_HEADER = 100_000_000  # the limit of the safetensors library itself
_LFS_POINTER = b"version https://git-lfs"


class BrokenFileError(Exception):
    """A weights file that cannot be what it claims; the text completes "FILE ..."."""


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """One tensor: ``shape`` in elements, ``offset`` in bytes from the start of ``file``."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """A whole file's header: its tensors by name and the free-form metadata."""

    tensors: dict[str, TensorHeader]
    metadata: dict[str, str]


def read_header(path: Path) -> FileHeader:
    """Read and check the header of the safetensors file ``path``.

    Raises:
        BrokenFileError: unreadable, truncated, not safetensors, or inconsistent with its size.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            start = stream.read(_LENGTH_BYTES)
            length = int.from_bytes(start, "little")
            _check_start(start, length, size, stream.read(len(_LFS_POINTER) - _LENGTH_BYTES))
            stream.seek(_LENGTH_BYTES)
            text = stream.read(length)
    except OSError as error:
        raise BrokenFileError(f"cannot be read: {error.strerror}") from error
    entries = _parse(text)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise BrokenFileError("has metadata that is not a table")
    data_start = _LENGTH_BYTES + length
    tensors = {name: _tensor(path, name, entry, data_start) for name, entry in entries.items()}
    _check_layout(tensors, data_start, size)
    return FileHeader(tensors, {str(key): str(value) for key, value in metadata.items()})


def _check_start(start: bytes, length: int, size: int, more: bytes) -> None:
    if (start + more).startswith(_LFS_POINTER):
        raise BrokenFileError("is a git-lfs pointer, not the weights: `git lfs pull` was not run")
    if len(start) < _LENGTH_BYTES:
        raise BrokenFileError(f"is truncated: {size} bytes, too short for a header")
    if length > _LARGEST_HEADER:
        raise BrokenFileError("is not a safetensors file: impossible header length")
    if _LENGTH_BYTES + length > size:
        raise BrokenFileError(f"is truncated within its header: {size:,} bytes")


def _parse(text: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenFileError("is not a safetensors file: its header is not JSON") from error
    if not isinstance(entries, dict):
        raise BrokenFileError("is not a safetensors file: its header is not a table")
    return entries


def _tensor(path: Path, name: str, entry: Any, data_start: int) -> TensorHeader:
    try:
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        sound = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
    except (TypeError, KeyError, ValueError) as error:
        raise BrokenFileError(f"has a malformed header entry for {name}") from error
    if not sound or dtype not in DTYPE_BYTES:
        raise BrokenFileError(f"has a malformed header entry for {name} (dtype {dtype!r})")
    nbytes = math.prod(shape) * DTYPE_BYTES[dtype]
    if end - begin != nbytes:
        raise BrokenFileError(f"gives {name} {end - begin} bytes where its shape needs {nbytes}")
    return TensorHeader(path, dtype, shape, data_start + begin, nbytes)


def _check_layout(tensors: dict[str, TensorHeader], data_start: int, size: int) -> None:
    position = data_start
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
        if tensor.offset != position:
            raise BrokenFileError(f"has a gap or an overlap before {name}")
        position += tensor.nbytes
    if size < position:
        raise BrokenFileError(f"is truncated: {size:,} bytes, its header says {position:,}")
    if size > position:
        raise BrokenFileError(f"has {size - position:,} bytes after its last tensor")
