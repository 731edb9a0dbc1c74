"""Random weights of a released model's true shape, written directly as a quantised copy.

Speed and memory do not depend on what the weights say, so the three released models can be
measured without their files. The copy has the layout that ``dvl2 quantize`` writes; its
answers mean nothing.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from deepseek_vl_v2.format.architecture import Architecture, read_architecture
from deepseek_vl_v2.format.tensors import expected_tensors
from deepseek_vl_v2.quantized_format import (
    FORMAT_VERSION,
    QUANT_METHOD,
    SCALE_BYTES,
    PackedKind,
)
from dvl2_cli.files import output_error
from dvl2_cli.planning.released import released_config
from dvl2_cli.quantizing.layout import Shard, Target, plan_shards
from dvl2_cli.store.headers import DTYPE_BYTES, TensorHeader
from dvl2_cli.store.shards import INDEX

Bytes = npt.NDArray[np.uint8]

# Blocks and numbers are drawn once and written again from changing places.
_POOL = 32 * 2**20
# Rows between the starts of two matrices in the pool; prime, so that they do not line up.
_STEP = 1_009
# Standard deviation of a stored value before its scale.
_SPREAD = {PackedKind.INT4: 66.0, PackedKind.INT8: 73.0}
_COMPANIONS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
               "processor_config.json", "dvl2_policy.json")  # fmt: skip

Progress = Callable[[int, int], None]


def write_random_copy(
    shape: str,
    folder: Path,
    quant: str = "int4",
    *,
    companions: Path | None = None,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> int:
    """Write random weights of ``shape`` ("tiny", "small", "base") into ``folder``.

    Args:
        shape: a released model's.
        folder: is made; files of an earlier run are replaced.
        quant: "int4" or "int8".
        companions: a folder to copy tokenizer and processor files from.
        seed: of the numbers.
        progress: called with the bytes written and the bytes of all.

    Returns:
        Bytes of the weight files.

    Raises:
        OutputError: no space or no permission.
        KeyError: no such shape.
    """
    config = released_config(shape)
    parts = read_architecture(config)[0]
    kind = PackedKind(quant)
    shards = plan_shards(_headers(parts, folder), parts, kind)
    total = sum(shard.nbytes for shard in shards)
    writer = _Writer(np.random.default_rng(seed))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = 0
        for shard in shards:
            writer.write_shard(shard, folder)
            done += shard.nbytes
            progress(done, total)
        places = {target.key: shard.name for shard in shards for target in shard.targets}
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")
        table = {"quant_method": QUANT_METHOD, "format": quant, "format_version": FORMAT_VERSION}
        text = json.dumps({**config, "quantization_config": table}, indent=1)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")
        _copy_companions(companions, folder)
    except OSError as error:
        raise output_error(folder, error) from error
    return total


def _copy_companions(source: Path | None, folder: Path) -> None:
    if source is None:
        return
    for name in _COMPANIONS:
        if (source / name).is_file():
            shutil.copy(source / name, folder)


def _headers(parts: Architecture, folder: Path) -> dict[str, TensorHeader]:
    return {
        key: TensorHeader(folder, "BF16", shape, 0, math.prod(shape) * DTYPE_BYTES["BF16"])
        for key, shape in expected_tensors(parts).items()
    }


class _Writer:
    def __init__(self, generator: np.random.Generator) -> None:
        self._bytes = np.frombuffer(generator.bytes(_POOL), dtype=np.uint8)
        self._place = self._turns = 0
        self._pools: dict[tuple[PackedKind, int], memoryview] = {}

    def write_shard(self, shard: Shard, folder: Path) -> None:
        """Write one file; whole, or the folder's config.json is not there yet."""
        with (folder / shard.name).open("wb") as stream:
            stream.write(shard.header)
            for target in shard.targets:
                self._write_target(stream, target)

    def _write_target(self, stream: IO[bytes], target: Target) -> None:
        if target.kind is None:
            self._write_plain(stream, target)
            return
        row_bytes = target.shape[1] * target.shape[2]
        pool = self._blocks(target.kind, row_bytes, target.shape[1])
        # Layers that are alike would make all tokens alike, which then ask for the same experts.
        self._turns += 1
        start = self._turns * _STEP * row_bytes % len(pool)
        left = target.nbytes
        while left:
            piece = pool[start : start + left]
            stream.write(piece)
            left -= len(piece)
            start = 0

    def _blocks(self, kind: PackedKind, row_bytes: int, blocks: int) -> memoryview:
        """Packed rows of a matrix with ``blocks`` blocks in a row, about 16 MB of them."""
        key = (kind, blocks)
        if key not in self._pools:
            rows = max(1, _POOL // 2 // row_bytes)
            pool = self._take(rows * row_bytes).reshape(-1, kind.block_bytes).copy()
            if kind is PackedKind.INT8:
                pool[pool == 128] = 127  # -128 is not a value of the format
            scale = 1 / (_SPREAD[kind] * math.sqrt(blocks * 64))
            pool[:, :SCALE_BYTES].view(np.uint16)[:] = _bfloat16(scale)
            self._pools[key] = memoryview(cast(Any, pool.reshape(-1)))
        return self._pools[key]

    def _write_plain(self, stream: IO[bytes], target: Target) -> None:
        count = math.prod(target.shape)
        if len(target.shape) < 2:
            # Norm weights are one; biases and the router's corrections zero.
            one = target.key.endswith(("norm.weight", "norm1.weight", "norm2.weight"))
            stream.write(np.full(count, _bfloat16(1.0 if one else 0.0), np.uint16).tobytes())
            return
        # Random sign and fraction under one exponent: magnitudes of one to two times `low`.
        low = _bfloat16(2.0 ** round(math.log2(1 / (1.5 * math.sqrt(target.shape[-1])))))
        for start in range(0, count, _POOL // 4):
            piece = self._take(2 * min(_POOL // 4, count - start)).view(np.uint16)
            stream.write(((piece & 0x807F) | low).astype(np.uint16).tobytes())

    def _take(self, size: int) -> Bytes:
        if self._place + size > _POOL:
            # A prime step, so that repeats do not line up with the rows.
            self._place = (self._place * 31 + 1999) % (_POOL - size) & ~1
        start = self._place
        self._place += size
        return self._bytes[start : start + size]


def _bfloat16(value: float) -> np.uint16:
    return np.uint16(np.float32(value).view(np.uint32) >> np.uint32(16))
