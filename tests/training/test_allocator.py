from __future__ import annotations

import subprocess
import sys

import pytest

from dvl2_cli.training import allocator

# Frees 64 MB and asks how much of the process is still in memory.
SCRIPT = """
import sys
from dvl2_cli.training.allocator import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

if sys.argv[1] == "kept":
    assert keep_freed_memory()
before = resident()
block = bytearray(64 << 20)
del block
print(resident() - before)
"""


def left(how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_freed_memory_is_kept() -> None:
    assert left("kept") > 60 << 20
    assert left("as it is") < 4 << 20


def test_settings_of_the_users_own_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    assert not allocator.keep_freed_memory()


def test_other_systems_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert not allocator.keep_freed_memory()
