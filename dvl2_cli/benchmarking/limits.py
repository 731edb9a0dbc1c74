"""What the machine can do at best, measured in the same run as the model."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from deepseek_vl_v2.kernels import library as kernels
from dvl2_cli.benchmarking.result import Peaks

# Far larger than any cache, small enough for a machine that is nearly full.
_BUFFER = 256 * 2**20
_MIN_SECONDS = 0.08
_ROUNDS = 100_000


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product of [rows, columns] weights that a pass does ``count`` times."""

    rows: int
    columns: int
    count: float = 1.0

    @property
    def multiply_adds(self) -> float:
        """Multiply-adds for one input vector."""
        return self.rows * self.columns * self.count


class ReadBandwidth:
    """Reads a large buffer with all threads, as STREAM does; keeps the buffer between calls."""

    def __init__(self) -> None:
        self._buffer = torch.ones(_BUFFER // 8, dtype=torch.int64)
        self._library = kernels.load_library()

    def measure(self) -> float:
        """Bytes per second of the faster of two passes."""
        return max(self._once() for _ in range(2))

    def _once(self) -> float:
        start = time.perf_counter()
        if self._library is not None:
            self._library.dvl2_read(self._buffer.data_ptr(), self._buffer.nbytes)
        else:
            self._buffer.sum()
        return self._buffer.nbytes / (time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class Beside:
    """A rate and the limit that was measured right beside it."""

    rate: float
    limit: float


def beside(rate: Callable[[], float], limit: Callable[[], float], rounds: int = 3) -> Beside:
    """Measure both in turns; of the rounds, the one with the middle ratio.

    A machine that is busy with something else then disturbs both alike.
    """
    pairs = [Beside(rate(), limit()) for _ in range(rounds)]
    return sorted(pairs, key=lambda pair: pair.rate / pair.limit)[rounds // 2]


def peaks(products: Sequence[Product], vectors: int) -> Peaks:
    """The best dense rates here, for int8, float32 and bfloat16.

    Our own path's instructions are timed in registers, and torch's products at these sizes: a
    library that emulates a type must not set the limit, and one with better instructions must.
    """
    library = kernels.load_library()
    in_registers = [0.0, 0.0] if library is None else [_in_registers(library, i) for i in (1, 0)]
    by_torch = dense_peak(products, vectors, torch.float32)
    return Peaks(
        int8=in_registers[0],
        float32=max(in_registers[1], by_torch),
        bfloat16=dense_peak(products, vectors, torch.bfloat16),
    )


def _in_registers(library: ctypes.CDLL, integers: int) -> float:
    """Multiply-adds per second of all threads, each with a plain loop in its registers."""
    work = 0

    def run() -> None:
        nonlocal work
        work = library.dvl2_multiply(integers, _ROUNDS)

    seconds = fastest(run, _MIN_SECONDS)
    return work / seconds


def dense_peak(products: Sequence[Product], vectors: int, dtype: torch.dtype) -> float:
    """Multiply-adds per second of torch's dense products at these sizes and ``vectors`` rows.

    Each distinct size is timed on its own; the result is the rate of doing all of them in
    their proportions.
    """
    sizes: dict[tuple[int, int], float] = {}
    for product in products:
        size = (product.rows, product.columns)
        sizes[size] = sizes.get(size, 0.0) + product.multiply_adds
    seconds = sum(
        work / _rate(rows, columns, vectors, dtype) for (rows, columns), work in sizes.items()
    )
    return sum(sizes.values()) / seconds


def _rate(rows: int, columns: int, vectors: int, dtype: torch.dtype) -> float:
    weight = torch.full((rows, columns), 0.01, dtype=dtype)
    states = torch.full((vectors, columns), 0.01, dtype=dtype)
    seconds = fastest(lambda: torch.nn.functional.linear(states, weight), _MIN_SECONDS)
    return rows * columns * vectors / seconds


def fastest(work: Callable[[], object], least_seconds: float) -> float:
    """Seconds of the fastest of at least two calls that together take ``least_seconds``."""
    work()
    best, spent, calls = float("inf"), 0.0, 0
    while spent < least_seconds or calls < 2:
        start = time.perf_counter()
        work()
        taken = time.perf_counter() - start
        best, spent, calls = min(best, taken), spent + taken, calls + 1
    return best
