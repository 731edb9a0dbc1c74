"""stdout and stderr that are closed, full, or that nobody reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import picture
from tests.commands.fake_process import Process, folder_of

pytestmark = pytest.mark.slow


def shell(process: Process, rest: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``dvl2 ARGUMENTS REST`` in a shell; the last line of stdout is dvl2's own exit code."""
    words = ["bash", "-c", f'"$@" {rest}; echo "${{PIPESTATUS[0]}}"', "bash"]
    return subprocess.run(
        [*words, *process.command(*arguments)], capture_output=True, text=True,
        env=process.environment, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("caption", "in", "-f", "csv", "-q"),
        ("ocr", "in", "-f", "text", "-q"),
        ("ground", "in", "red car", "-q"),
        ("ls", "--json"),
        ("ls",),
        ("show", "nano"),
        ("config", "list"),
        ("--help",),
        ("caption", "--help"),
    ],
)
def test_a_reader_that_leaves_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    folder_of(tmp_path, 12)
    monkeypatch.chdir(tmp_path)
    done = shell(Process(tmp_path, delay=0.02), "| head -c 1 | wc -c", *arguments)
    count, code = done.stdout.split()
    assert count == "1"
    assert done.stderr == ""
    assert code == "0"


def test_rows_go_on_when_nobody_reads_the_messages(tmp_path: Path) -> None:
    inside = folder_of(tmp_path, 5)
    (inside / "bad.png").write_bytes(b"no picture")
    done = shell(Process(tmp_path), f"2> >(exec head -c 0) > {tmp_path}/rows", "caption", inside)
    assert done.stdout.split() == ["1"]
    assert len((tmp_path / "rows").read_bytes().splitlines()) == 6


def test_a_closed_stdout_is_one_line(tmp_path: Path) -> None:
    done = shell(Process(tmp_path), ">&-", "caption", folder_of(tmp_path, 2))
    assert done.stdout.split() == ["1"]
    assert "cannot write to stdout: Bad file descriptor" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("ls", "--json"), ("config", "list")])
def test_a_closed_stdout_of_commands_without_a_model(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = shell(Process(tmp_path), ">&-", *arguments)
    assert done.stdout.split() == ["1"]
    assert "cannot write to stdout" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stderr_changes_nothing(tmp_path: Path) -> None:
    done = shell(Process(tmp_path), "2>&-", "caption", folder_of(tmp_path, 2))
    *rows, code = done.stdout.splitlines()
    assert [json.loads(row)["status"] for row in rows] == ["ok", "ok"]
    assert code == "0"


def test_a_closed_stdin_is_empty(tmp_path: Path) -> None:
    done = shell(Process(tmp_path), "<&-", "caption", "-")
    assert "stdin is empty" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [("--help",), ("ls", "--json"), ("ocr", "a.png")])
def test_a_full_disk_behind_stdout_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    done = shell(Process(tmp_path), "> /dev/full", *arguments)
    assert done.stdout.split() == ["1"]
    assert "cannot write to stdout: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no /dev")
@pytest.mark.parametrize("target", ["/dev/null", "/dev/stdout", "fifo"])
def test_devices_and_pipes_are_written_to_and_not_replaced(tmp_path: Path, target: str) -> None:
    if target == "fifo":
        target = str(tmp_path / "fifo")
        os.mkfifo(target)
    before = os.lstat(target)
    reader = None
    if target.endswith("fifo"):
        reader = subprocess.Popen(["cat", target], stdout=subprocess.PIPE)
    process = Process(tmp_path)
    with (tmp_path / "rows").open("wb") as stdout:
        done = process.run("caption", folder_of(tmp_path, 2), "-o", target, stdout=stdout)
    assert done.returncode == 0, done.stderr
    assert os.path.samestat(before, os.lstat(target))
    written = (tmp_path / "rows").read_bytes()
    if reader is not None:
        written = reader.communicate(timeout=60)[0]
    assert len(written.splitlines()) == (0 if target == "/dev/null" else 2)
