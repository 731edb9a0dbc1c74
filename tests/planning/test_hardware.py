from pathlib import Path

import psutil
import pytest

from dvl2_cli.planning.hardware import probe


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_this_machine_has_memory_and_every_fact_a_source(tmp_path: Path) -> None:
    hardware = probe(tmp_path / "not" / "there")
    assert 0 < hardware.ram_available.value <= hardware.ram_total.value
    assert hardware.cores.value >= 1
    assert hardware.disk_free.value > 0
    assert 0 <= hardware.usable_ram <= hardware.ram_available.value
    for name in hardware.__dataclass_fields__:
        assert getattr(hardware, name).source


@pytest.mark.parametrize(
    ("line", "folder", "limit", "usage"),
    [
        ("0::/box", "sys/fs/cgroup/box", "memory.max", "memory.current"),
        (
            "4:memory:/box",
            "sys/fs/cgroup/memory/box",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
        ),
    ],
)
def test_a_control_groups_limit_bounds_the_memory(
    tmp_path: Path, line: str, folder: str, limit: str, usage: str
) -> None:
    write(tmp_path / "proc/self/cgroup", line + "\n")
    write(tmp_path / folder / limit, "50000000\n")
    write(tmp_path / folder / usage, "30000000\n")
    write(tmp_path / folder / "memory.stat", "anon 1\ninactive_file 10000000\n")
    hardware = probe(tmp_path, root=tmp_path)
    assert hardware.memory_limit.value == 50_000_000
    assert hardware.ram_total.value == 50_000_000
    # What the group could drop at once does not count as used.
    assert hardware.ram_available.value == 30_000_000
    assert limit in hardware.ram_available.source


@pytest.mark.parametrize("text", ["max", "9223372036854771712", "", "nonsense"])
def test_no_limit_is_no_limit(tmp_path: Path, text: str) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(tmp_path / "sys/fs/cgroup/memory.max", text)
    hardware = probe(tmp_path, root=tmp_path)
    assert hardware.memory_limit.value is None
    assert hardware.ram_total.value == psutil.virtual_memory().total


def test_instruction_sets_are_read_from_the_first_processor(tmp_path: Path) -> None:
    text = "model name\t: A CPU\nflags\t\t: fpu avx2 avx512_vnni\n\nmodel name\t: Other\n"
    write(tmp_path / "proc/cpuinfo", text)
    hardware = probe(tmp_path, root=tmp_path)
    assert hardware.cpu.value == "A CPU"
    assert hardware.isa.value == ("avx2", "avx512_vnni")


@pytest.mark.parametrize(
    ("line", "files", "cores"),
    [
        ("0::/box", {"sys/fs/cgroup/box/cpu.max": "150000 100000"}, 1.5),
        ("0::/box", {"sys/fs/cgroup/box/cpu.max": "max 100000"}, None),
        (
            "4:cpu,cpuacct:/box",
            {
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        ("4:cpu:/", {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}, None),
    ],
)
def test_a_control_group_may_limit_the_cores(
    tmp_path: Path, line: str, files: dict[str, str], cores: float | None
) -> None:
    write(tmp_path / "proc/self/cgroup", line + "\n")
    for name, text in files.items():
        write(tmp_path / name, text + "\n")
    assert probe(tmp_path, root=tmp_path).core_limit.value == cores
