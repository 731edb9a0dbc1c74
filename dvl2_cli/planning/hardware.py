"""What this machine has: memory, cores, instruction sets, disk and accelerators.

Torch is not imported: NVIDIA cards are read through the driver's own library. Every fact
keeps its source, so that a plan made from it can be checked.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from dvl2_cli.planning.accelerators import Accelerator, Found, find_accelerators
from dvl2_cli.units import Bytes, Count

T = TypeVar("T")

# Names as the kernel writes them in /proc/cpuinfo, most useful for the kernels last.
_ISA_FLAGS = (
    *("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx_vnni"),
    *("amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16"),
)
# Limit and use, by the version of the control groups.
_MEMORY_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    2: ("memory.max", "memory.current"),
}


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A value and where it was read."""

    value: T
    source: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine as this process may use it. Sizes in bytes.

    ``ram_available`` is what can be taken now without swapping: the kernel's estimate, and
    no more than what a container's limit leaves. ``memory_limit`` is that limit or None.
    ``core_limit`` is how many cores' time a control group allows, or None.
    """

    system: Fact[str]
    cpu: Fact[str]
    cores: Fact[Count]
    isa: Fact[tuple[str, ...]]
    ram_total: Fact[Bytes]
    ram_available: Fact[Bytes]
    memory_limit: Fact[Count | None]
    disk_free: Fact[Bytes]
    accelerators: Fact[tuple[Accelerator, ...]]
    core_limit: Fact[float | None] = Fact(None, "no control group limit")

    @property
    def usable_ram(self) -> int:
        """RAM that a plan may take, bytes: what is available, less a share for everyone else."""
        return max(0, self.ram_available.value - _reserve(self.ram_total.value))


def probe(
    disk: Path | None = None, *, root: Path = Path("/"), accelerators: Found | None = None
) -> Hardware:
    """Read the machine's facts.

    Args:
        disk: a path on the disk whose free space matters; the current folder by default.
        accelerators: as they were found before; None looks for them.
        root: where /proc and /sys are found (tests give a folder of their own).
    """
    total, available = _memory()
    limit, used = _cgroup_memory(root)
    available_source = "psutil"
    if limit.value is not None:
        left = max(0, limit.value - used)
        if left < available:
            available, available_source = left, limit.source
        total = min(total, limit.value)
    return Hardware(
        system=Fact(f"{platform.system()} {platform.machine()}", "platform"),
        cpu=_cpu_model(root),
        cores=_cores(),
        isa=_isa(root),
        ram_total=Fact(total, "psutil" if limit.value != total else limit.source),
        ram_available=Fact(available, available_source),
        memory_limit=limit,
        disk_free=_disk_free(disk or Path.cwd()),
        accelerators=Fact(*(accelerators or find_accelerators())),
        core_limit=_cgroup_cores(root),
    )


def _reserve(total: int) -> int:
    # The page cache and other processes need some room for the machine to stay responsive.
    return min(total // 16, 2 * 2**30)


def _memory() -> tuple[int, int]:
    import psutil

    memory = psutil.virtual_memory()
    return int(memory.total), int(memory.available)


def _cores() -> Fact[int]:
    if hasattr(os, "sched_getaffinity"):
        return Fact(len(os.sched_getaffinity(0)), "sched_getaffinity")
    return Fact(os.cpu_count() or 1, "os.cpu_count")


def _cpu_model(root: Path) -> Fact[str]:
    name = _cpuinfo(root).get("model name")
    return Fact(name, "/proc/cpuinfo") if name else Fact(platform.processor(), "platform")


def _isa(root: Path) -> Fact[tuple[str, ...]]:
    info = _cpuinfo(root)
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return Fact(tuple(flag for flag in _ISA_FLAGS if flag in flags), "/proc/cpuinfo")


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first processor's entries; empty where there is no such file."""
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    first = text.split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _disk_free(path: Path) -> Fact[int]:
    while not path.exists() and path != path.parent:
        path = path.parent
    return Fact(shutil.disk_usage(path).free, f"disk of {path}")


def _cgroup_memory(root: Path) -> tuple[Fact[int | None], int]:
    """The tightest memory limit of this process's control groups, and the bytes it counts."""
    tightest: Fact[int | None] = Fact(None, "no control group limit")
    used = 0
    for folder, version in _cgroup_folders(root, "memory"):
        limit_name, used_name = _MEMORY_FILES[version]
        limit = _read_int(folder / limit_name)
        # Version 1 writes "no limit" as the largest page-aligned 63-bit number.
        if limit is None or limit >= 1 << 60:
            continue
        if tightest.value is None or limit < tightest.value:
            tightest = Fact(limit, str(folder / limit_name))
            inactive = _stat(folder / "memory.stat", "inactive_file", "total_inactive_file")
            used = max(0, (_read_int(folder / used_name) or 0) - inactive)
    return tightest, used


def _cgroup_cores(root: Path) -> Fact[float | None]:
    """The tightest limit on processor time of this process's control groups, in cores."""
    found: Fact[float | None] = Fact(None, "no control group limit")
    for folder, version in _cgroup_folders(root, "cpu"):
        if version == 2:
            name = "cpu.max"
            quota, _, period = _read_text(folder / name).partition(" ")
        else:
            name = "cpu.cfs_quota_us"
            quota = _read_text(folder / name)
            period = _read_text(folder / "cpu.cfs_period_us")
        # "max" and -1 stand for no limit.
        if not quota.isdecimal() or not period.isdecimal() or period == "0":
            continue
        cores = int(quota) / int(period)
        if found.value is None or cores < found.value:
            found = Fact(cores, str(folder / name))
    return found


def _cgroup_folders(root: Path, controller: str) -> list[tuple[Path, int]]:
    """Where the limits of ``controller`` on this process lie, and the groups' version."""
    found: list[tuple[Path, int]] = []
    for line in _read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            version, bases = 2, [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif controller in controllers.split(","):
            version = 1
            bases = [root / "sys/fs/cgroup" / name for name in (controller, controllers)]
        else:
            continue
        relative = Path(path.lstrip("/"))
        # Inside a container the path may name the host's view; the mount's root then counts.
        for base in bases:
            found += [(base / part, version) for part in (relative, *relative.parents)]
    return found


def _read_int(path: Path) -> int | None:
    text = _read_text(path)
    return int(text) if text.isdecimal() else None


def _read_text(path: Path) -> str:
    """The file's text, stripped; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _stat(path: Path, *keys: str) -> int:
    try:
        text = path.read_text(encoding="ascii")
    except OSError:
        return 0
    values = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
    return max((int(values[key]) for key in keys if key in values), default=0)
