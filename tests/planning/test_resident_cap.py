import mmap
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dvl2_cli.planning.resident_cap import MemorySpan, ResidentCap, resident_bytes

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
CHUNK = 2 * 2**20
CHUNKS = 64


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[np.ndarray]:
    path = tmp_path / "weights"
    numbers = np.arange(CHUNKS * CHUNK // 8, dtype=np.int64)
    path.write_bytes(numbers.tobytes())
    with path.open("rb") as stream:
        mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        yield np.frombuffer(mapping, dtype=np.int64)


def chunks_of(mapped: np.ndarray) -> list[list[MemorySpan]]:
    return [[MemorySpan(mapped.ctypes.data + number * CHUNK, CHUNK)] for number in range(CHUNKS)]


def test_the_resident_size_stays_under_the_cap_and_the_bytes_stay_right(
    mapped: np.ndarray,
) -> None:
    cap = resident_bytes() + 40 * 2**20
    guard = ResidentCap(cap, chunks_of(mapped))
    try:
        for _ in range(3):
            for number in range(CHUNKS):
                first = number * CHUNK // 8
                part = mapped[first : first + CHUNK // 8]
                assert int(part.sum()) == CHUNK // 8 * (2 * first + CHUNK // 8 - 1) // 2
                guard.trim()
                assert resident_bytes() <= cap
    finally:
        guard.close()
    assert guard.given_back > CHUNKS * CHUNK // 2


def test_the_thread_trims_on_its_own(mapped: np.ndarray) -> None:
    before = resident_bytes()
    cap = before + 64 * 2**20
    guard = ResidentCap(cap, chunks_of(mapped))
    try:
        mapped.sum()
        deadline = time.monotonic() + 10
        while resident_bytes() > cap and time.monotonic() < deadline:
            time.sleep(0.01)
        assert resident_bytes() <= cap
    finally:
        guard.close()


def test_memory_that_is_no_file_is_left_alone() -> None:
    values = np.ones(4 * 2**20, dtype=np.uint8)
    guard = ResidentCap(1, [[MemorySpan(values.ctypes.data, values.nbytes)]])
    guard.trim(0)
    guard.close()
    assert values.all()
    assert guard.given_back == 0


def test_changed_private_pages_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(2**20))
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as view:
        values = np.frombuffer(view, dtype=np.uint8)
        values[:] = 7
        guard = ResidentCap(1, [[MemorySpan(values.ctypes.data, values.nbytes)]])
        guard.trim(0)
        guard.close()
        assert (values == 7).all()
        del values
