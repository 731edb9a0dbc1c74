"""A hard cap on resident memory for a model whose weights are mapped from files.

Mapped pages count as resident once touched. A watching thread reads the process's resident
size and, near the cap, gives back the chunks (experts) that have been resident longest: the
pages stay in the system's page cache while there is room, and are read from disk otherwise.
Reading a chunk that was given back is only slower, never wrong.

Linux only: it needs /proc and MADV_DONTNEED on shared file mappings.
"""

from __future__ import annotations

import bisect
import ctypes
import mmap
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvl2_cli.errors import UsageError
from dvl2_cli.sizes import format_size

_PAGE = mmap.PAGESIZE
_PRESENT = 1 << 63
_DONTNEED = 4
_FADVISE_DONTNEED = getattr(os, "POSIX_FADV_DONTNEED", 4)
# The thread looks this often, seconds. Between two looks a fast disk or the page cache can
# add about 3 GB/s times this.
_INTERVAL = 0.004
# Trimming starts this far below the cap and ends a bit lower still, shares of the cap.
_START, _END = 0.94, 0.90


@dataclass(frozen=True, slots=True)
class MemorySpan:
    """``nbytes`` of memory from ``address`` on."""

    address: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class _Mapping:
    start: int
    end: int
    offset: int
    path: str


class ResidentCap:
    """Keeps this process's resident size under ``cap`` bytes until ``close``.

    Args:
        cap: bytes, everything counted: code, heap, and mapped weights that were touched.
        chunks: spans of mapped weights that are used together, such as one expert's three
            matrices, and that nobody writes to; only these are given back. Parts that are
            not mapped from a file are left alone.
        owners: what keeps the memory mapped; held until ``close``.
        drop_cache: also drop what is given back from the system's page cache, so that the
            next read comes from the disk, as on a machine that has no more memory.

    Raises:
        UsageError: this system cannot give mapped pages back.
    """

    def __init__(
        self,
        cap: int,
        chunks: Sequence[Sequence[MemorySpan]],
        *,
        owners: object = None,
        drop_cache: bool = False,
    ) -> None:
        if not sys.platform.startswith("linux"):
            raise UsageError("--max-memory works on Linux only", "Leave it out.")
        self.cap = cap
        self.given_back = 0
        self._owners = owners
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._drop_cache = drop_cache
        self._mappings = _file_mappings()
        spans = [[part for span in chunk for part in self._in_files(span)] for chunk in chunks]
        self._chunks = [chunk for chunk in spans if chunk]
        self._resident: dict[int, None] = {}  # in the order in which chunks became resident
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
        self._thread = threading.Thread(target=self._watch, name="resident-cap", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()
        with self._lock:
            self._owners = None
            self._chunks = []
            if self._pagemap >= 0:
                os.close(self._pagemap)
                self._pagemap = -1

    def trim(self, target: int | None = None) -> None:
        """Give chunks back until at most ``target`` bytes (by default a bit under the cap) stay."""
        goal = int(self.cap * _END) if target is None else target
        with self._lock:
            surplus = resident_bytes() - goal
            if surplus <= 0 or self._pagemap < 0:
                return
            self._look()
            for number in list(self._resident):
                if surplus <= 0:
                    break
                del self._resident[number]
                surplus -= self._give_back(self._chunks[number])

    def __repr__(self) -> str:
        return f"ResidentCap({format_size(self.cap)}, {len(self._chunks)} chunks)"

    def _watch(self) -> None:
        while not self._stop.wait(_INTERVAL):
            if resident_bytes() > self.cap * _START:
                self.trim()

    def _look(self) -> None:
        """Note which chunks became resident, and which left."""
        for number, chunk in enumerate(self._chunks):
            present = self._is_present(chunk[0].address)
            if present and number not in self._resident:
                self._resident[number] = None
            elif not present:
                self._resident.pop(number, None)

    def _is_present(self, address: int) -> bool:
        # The middle of the first page that lies wholly inside.
        entry = os.pread(self._pagemap, 8, (address // _PAGE + 1) * 8)
        return bool(int.from_bytes(entry, sys.byteorder) & _PRESENT)

    def _give_back(self, chunk: Sequence[MemorySpan]) -> int:
        size = 0
        for span in chunk:
            start = span.address // _PAGE * _PAGE
            length = span.address + span.nbytes - start
            self._libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _DONTNEED)
            size += length
            if self._drop_cache:
                self._forget(start, length)
        self.given_back += size
        return size

    def _forget(self, start: int, length: int) -> None:
        mapping = self._mapping_at(start)
        if mapping is None:
            return
        descriptor = os.open(mapping.path, os.O_RDONLY)
        offset = mapping.offset + start - mapping.start
        os.posix_fadvise(descriptor, offset, length, _FADVISE_DONTNEED)
        os.close(descriptor)

    def _in_files(self, span: MemorySpan) -> list[MemorySpan]:
        """The part of ``span`` that is mapped from a file, where giving back is harmless."""
        mapping = self._mapping_at(span.address)
        if mapping is None or span.address + span.nbytes > mapping.end or span.nbytes < 2 * _PAGE:
            return []
        return [span]

    def _mapping_at(self, address: int) -> _Mapping | None:
        index = bisect.bisect_right(self._mappings, address, key=lambda item: item.start) - 1
        if index < 0 or address >= self._mappings[index].end:
            return None
        return self._mappings[index]


def resident_bytes() -> int:
    """Resident size of this process, mapped pages included, bytes."""
    with Path("/proc/self/statm").open("rb") as stream:
        return int(stream.read().split()[1]) * _PAGE


def _file_mappings() -> list[_Mapping]:
    """Mappings of regular files of which this process has changed nothing in memory.

    Weights are mapped privately and writable; a page that was written would be lost with its
    changes, so a mapping that has such pages is left out.
    """
    found: list[_Mapping] = []
    last_end = 0
    text = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines():
        fields = line.split(maxsplit=5)
        if fields[0] == "Anonymous:":
            if fields[1] != "0" and found and found[-1].end == last_end:
                found.pop()
        elif "-" in fields[0] and not fields[0].endswith(":"):
            start, last_end = (int(part, 16) for part in fields[0].split("-"))
            if len(fields) == 6 and fields[5].startswith("/"):
                found.append(_Mapping(start, last_end, int(fields[2], 16), fields[5]))
    return sorted(found, key=lambda item: item.start)
