"""Locks, also on file systems that have none."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import Timeout

from dvl2_cli.errors import OutputError
from dvl2_cli.journal import Journal, JournalInUseError
from dvl2_cli.locks import acquire_lock, locked
from dvl2_cli.settings import load_settings
from dvl2_cli.settings_file import set_value


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file system is a network drive without locks."""

    def refuse(descriptor: int, operation: int) -> None:
        del descriptor
        if operation != fcntl.LOCK_UN:
            raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_one_has_it_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "a.lock"), pytest.raises(Timeout):
        acquire_lock(tmp_path / "a.lock")
    acquire_lock(tmp_path / "a.lock").release()


@pytest.mark.usefixtures("without_locks")
def test_one_has_it_at_a_time_where_there_are_no_locks(tmp_path: Path) -> None:
    with locked(tmp_path / "a.lock"), pytest.raises(Timeout):
        acquire_lock(tmp_path / "a.lock")
    acquire_lock(tmp_path / "a.lock").release()


@pytest.mark.usefixtures("without_locks")
def test_what_a_killed_process_held_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, sys; from filelock import SoftFileLock; "
        "lock = SoftFileLock(sys.argv[1]); lock.acquire(); os._exit(9)"
    )
    held = tmp_path / "a.lock.held"
    assert subprocess.run([sys.executable, "-c", code, held], check=False).returncode == 9
    assert held.exists()
    with locked(tmp_path / "a.lock", seconds=10):
        assert held.exists()
    assert not held.exists()


@pytest.mark.usefixtures("without_locks")
def test_journals_and_settings_work_without_locks(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with Journal(path, "f") as journal:
        journal.keep("a", {"text": "x"})
        with pytest.raises(JournalInUseError):
            Journal(path, "f").__enter__()
    with Journal(path, "f") as journal:
        assert journal.answer("a") == {"text": "x"}
        journal.complete()
    assert sorted(entry.name for entry in tmp_path.iterdir() if "held" in entry.name) == []
    settings = tmp_path / "settings.toml"
    set_value(settings, "seed", 7)
    assert load_settings(settings, {}).seed == 7


def test_settings_that_another_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvl2_cli.settings_file._LOCK_SECONDS", 0)
    path = tmp_path / "settings.toml"
    with locked(tmp_path / ".settings.toml.lock"), pytest.raises(OutputError, match="another dvl2"):
        set_value(path, "seed", 7)
