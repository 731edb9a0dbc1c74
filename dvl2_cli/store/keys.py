"""Whether a checkpoint holds exactly the tensors that its config.json asks for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deepseek_vl_v2.format.architecture import Architecture
from deepseek_vl_v2.format.tensors import UNUSED_PREFIX, Shape, expected_tensors
from dvl2_cli.store.headers import TensorHeader
from dvl2_cli.store.problems import Problem, fetch_again

Tensors = dict[str, TensorHeader]

OWN_METHOD = "dvl2"
_BNB_METHOD = "bitsandbytes"
_CONVERT = "Convert the original again: dvl2 quantize MODEL"
_FLOATS = ("BF16", "F16", "F32")
_SHOWN = 3  # keys named when many are missing

# The block layout of models/deepseek_vl_v2/quantized_format.py, repeated here because that
# module imports torch; tests/store/test_quantised.py holds the two together.
BLOCK_ROWS, BLOCK_COLUMNS = 16, 64
BLOCK_BYTES = {"int4": 576, "int8": 1088}
ABSORBED = "kv_b_proj.key_absorbed"
EXACT_ROWS = "language.lm_head.exact_rows"


def check_plain(
    folder: Path, tensors: Tensors, parts: Architecture, problems: list[Problem]
) -> None:
    """Keys, shapes and dtypes of unquantised weights."""
    expected = expected_tensors(parts)
    remedy = fetch_again(folder)
    _compare_keys(folder, tensors, expected, remedy, problems)
    for key in (key for key in expected if key in tensors):
        _check_tensor(key, tensors[key], expected[key], remedy, problems)


def check_quantised(
    folder: Path, method: str, tensors: Tensors, parts: Architecture, problems: list[Problem]
) -> None:
    """Keys, shapes and dtypes of a quantised copy, as far as its method is known."""
    expected = expected_tensors(parts)
    if method == OWN_METHOD:
        _check_own(folder, tensors, parts, expected, problems)
    elif method == _BNB_METHOD:
        # Each quantised weight is several tensors, `X.weight` and `X.weight.STATE`.
        plain = {key: tensors[key] for key in tensors if ".weight." not in key}
        _compare_keys(folder, plain, expected, _CONVERT, problems)
    else:
        problems.append(
            Problem(
                f"{folder / 'config.json'} has quant_method {method!r}, which dvl2 cannot run",
                "Fetch the original weights; `dvl2 quantize` makes a copy that runs.",
            )
        )


def packed_shape(kind: str, rows: int, columns: int) -> Shape:
    """Shape of the uint8 tensor that stores a [rows, columns] weight as ``kind``."""
    return (-(-rows // BLOCK_ROWS), -(-columns // BLOCK_COLUMNS), BLOCK_BYTES[kind])


def packed_kind(tensor: TensorHeader) -> str | None:
    """The kind of a packed weight; None for a plain tensor."""
    if tensor.dtype != "U8" or len(tensor.shape) != 3:
        return None
    return next((kind for kind, size in BLOCK_BYTES.items() if size == tensor.shape[2]), None)


def absorbed_tensors(parts: Architecture) -> dict[str, Shape]:
    """The keys that a quantised copy adds, with their unpacked [rows, columns]."""
    decoder = parts.decoder
    if not decoder.use_mla:
        return {}
    shape = (decoder.heads * decoder.kv_lora_rank, decoder.nope_width)
    names = (f"language.model.layers.{layer}.self_attn" for layer in range(decoder.layers))
    return {f"{name}.{ABSORBED}": shape for name in names}


def _check_own(
    folder: Path,
    tensors: Tensors,
    parts: Architecture,
    expected: dict[str, Shape],
    problems: list[Problem],
) -> None:
    expected = expected | absorbed_tensors(parts)
    if EXACT_ROWS in tensors:
        expected[EXACT_ROWS] = (parts.decoder.vocab_size, parts.decoder.hidden_size)
    _compare_keys(folder, tensors, expected, _CONVERT, problems)
    for key in (key for key in expected if key in tensors):
        tensor, shape = tensors[key], expected[key]
        kind = packed_kind(tensor)
        if kind is None:
            _check_tensor(key, tensor, shape, _CONVERT, problems)
        elif len(shape) != 2 or tensor.shape != packed_shape(kind, *shape):
            what = f"is packed as {list(tensor.shape)}, which does not hold {list(shape)}"
            problems.append(Problem(f"{key} in {tensor.file} {what}", _CONVERT))


def _compare_keys(
    folder: Path,
    tensors: Tensors,
    expected: dict[str, Shape],
    remedy: str,
    problems: list[Problem],
) -> None:
    pool_absent = not any(key.startswith(UNUSED_PREFIX) for key in tensors)
    missing = [
        key
        for key in expected
        if key not in tensors and not (pool_absent and key.startswith(UNUSED_PREFIX))
    ]
    if missing:
        problems.append(Problem(f"{folder} lacks {_named(missing)}", remedy))
    unexpected = [key for key in tensors if key not in expected]
    if unexpected:
        what = f"{folder} holds {_named(unexpected)}, which config.json has no place for"
        problems.append(Problem(what, remedy))


def _check_tensor(
    key: str, tensor: TensorHeader, shape: Shape, remedy: str, problems: list[Problem]
) -> None:
    if tensor.shape != shape:
        what = f"has shape {list(tensor.shape)}, config.json needs {list(shape)}"
        problems.append(Problem(f"{key} in {tensor.file} {what}", remedy))
    elif tensor.dtype not in _FLOATS:
        what = f"has dtype {tensor.dtype}, not one of {', '.join(_FLOATS)}"
        problems.append(Problem(f"{key} in {tensor.file} {what}", remedy))


def _named(keys: Iterable[str]) -> str:
    listed = sorted(keys)
    shown = ", ".join(listed[:_SHOWN])
    return shown if len(listed) <= _SHOWN else f"{shown} and {len(listed) - _SHOWN} more keys"
