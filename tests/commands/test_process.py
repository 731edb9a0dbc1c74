"""Commands as processes: kills, closed pipes, Ctrl-C, terminals, full disks, odd names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import picture
from tests.commands.fake_process import Process, folder_of


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_closed_pipe_is_silent(tmp_path: Path) -> None:
    process = Process(tmp_path, delay=0.05)
    reader = process.start("caption", folder_of(tmp_path, 30))
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.readline()
    reader.stdout.close()
    assert reader.wait(60) == 0
    assert reader.stderr.read() == b""
    reader.stderr.close()


@pytest.mark.parametrize(
    "arguments",
    [("ls",), ("ls", "--json"), ("show", "nano"), ("help",), ("help", "ls"), ("--help",)],
)
def test_a_pipe_that_was_closed_before_the_first_byte_is_silent(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = Process(tmp_path).run(*arguments, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("wb") as stream:
        done = Process(tmp_path).run(
            "caption", folder_of(tmp_path, 2), stdout=stream, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert b"cannot write to stdout: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_read_only_folder_is_one_line_for_each_picture(tmp_path: Path) -> None:
    inside = folder_of(tmp_path, 2)
    inside.chmod(0o555)
    try:
        if os.access(inside, os.W_OK):
            pytest.skip("this user may write everywhere")
        done = Process(tmp_path).run("caption", inside, "--sidecar", ".txt")
    finally:
        inside.chmod(0o755)
    assert done.returncode == 1
    assert done.stderr.count(b"Permission denied") == 2


def test_ctrl_c_finishes_the_picture_and_keeps_the_rest_for_later(tmp_path: Path) -> None:
    process = Process(tmp_path, delay=0.3)
    inside = folder_of(tmp_path, 8)
    running = process.start("caption", inside, "-o", tmp_path / "t.ndjson")
    wait_for(lambda: process.asked() >= 2)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"finishing this one" in errors
    assert b"Traceback" not in errors
    assert not (tmp_path / "t.ndjson").exists()
    first = process.asked()
    assert first < 8
    done = process.run("caption", inside, "-o", tmp_path / "t.ndjson")
    assert done.returncode == 0
    assert process.asked() == 8
    assert len((tmp_path / "t.ndjson").read_text(encoding="utf-8").splitlines()) == 8


def test_ctrl_c_stops_a_single_answer_at_once(tmp_path: Path) -> None:
    process = Process(tmp_path, answer="word " * 200_000)
    running = process.start("ocr", picture(tmp_path / "a.png", size=(300, 200)))
    wait_for(lambda: process.asked() >= 1)
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"Traceback" not in errors
    (line,) = output.splitlines()
    assert json.loads(line)["finish_reason"] == "cancelled"


def test_names_with_newlines_blanks_and_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    odd = [folder / "a b.png", folder / "new\nline.png", folder / "红 é.png"]
    for path in odd:
        picture(path)
    raw = os.fsencode(folder) + b"/bytes\xff\xfe.png"
    Path(os.fsdecode(raw)).write_bytes(odd[0].read_bytes())
    done = Process(tmp_path).run("caption", folder, "--sidecar", ".txt")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert len(rows) == 4
    assert all(Path(row["written"][0]).exists() for row in rows)


def test_a_terminal_gets_text_and_no_control_characters(tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    process = Process(tmp_path, answer="safe\x1b[31m red \x07 \x9b2J \u202e end")
    # -q: the line of progress is drawn with control characters of its own.
    command = process.command("ocr", picture(tmp_path / "a.png"), "-q")
    child = pexpect.spawn(command[0], command[1:], env=process.environment, timeout=60)
    child.expect(pexpect.EOF)
    child.close()
    shown = child.before.decode()
    assert "safe\\x1b[31m red \\x07 \\x9b2J \\x202e end" in shown
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert child.exitstatus == 0


def test_a_terminal_shows_progress_on_stderr_only(tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    process = Process(tmp_path, delay=0.2)
    command = process.command("caption", folder_of(tmp_path, 5), "--sidecar", ".txt", "-o",
                              tmp_path / "t.csv")  # fmt: skip
    child = pexpect.spawn(command[0], command[1:], env=process.environment, timeout=60)
    child.expect("3/5")
    child.expect(r"00\d\.png")
    child.expect("5 captioned, 0 skipped, 0 failed")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
