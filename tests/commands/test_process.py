"""Commands as processes: kills, closed pipes, Ctrl-C, terminals, full disks, odd names."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import picture

ROOT = Path(__file__).resolve().parents[2]
FAKE = ROOT / "tests" / "commands" / "fake_cli.py"


class Process:
    """``dvl2`` against a scripted fake engine, in a process of its own."""

    def __init__(self, folder: Path, **script: Any) -> None:
        self.folder = folder
        self.log = folder / "log"
        script = {"answer": "A picture of {size} pixels.", "log": str(self.log), **script}
        (folder / "script.json").write_text(json.dumps(script), encoding="utf-8")
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PYTHONPATH": str(ROOT),
        }

    def command(self, *arguments: object) -> list[str]:
        script = str(self.folder / "script.json")
        return [sys.executable, str(FAKE), script, *[str(item) for item in arguments]]

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*arguments),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            env=self.environment,
            **options,
        )

    def run(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*arguments),
            capture_output="stdout" not in options,
            env=self.environment,
            check=False,
            timeout=120,
            **options,
        )

    def asked(self) -> int:
        return len(self.log.read_text(encoding="utf-8").splitlines()) if self.log.exists() else 0


def folder_of(tmp_path: Path, count: int) -> Path:
    for index in range(count):
        picture(tmp_path / "in" / f"{index:03}.png", size=(100 + index, 40))
    return tmp_path / "in"


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
    command = process.command("ocr", picture(tmp_path / "a.png"))
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
    child.expect("captions")
    child.expect("3/5")
    child.expect("5 captioned, 0 skipped, 0 failed")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("target", ["table", "append"])
@pytest.mark.slow
def test_fifty_kills_lose_and_repeat_nothing(tmp_path: Path, target: str) -> None:
    """Kill -9 at random moments until the run gets through, again and again."""
    rng = random.Random(7)
    kills = rounds = 0
    while kills < 50:
        folder = tmp_path / f"run{rounds}"
        rounds, before = rounds + 1, kills
        folder.mkdir()
        inside = folder_of(folder, 12)
        process = Process(folder, delay=0.02)
        arguments: list[object] = ["caption", inside]
        if target == "table":
            arguments += ["-o", folder / "t.ndjson"]
        else:
            for path in inside.glob("*.png"):
                path.with_suffix(".txt").write_text("old\n", encoding="utf-8")
            arguments += ["--sidecar", ".txt", "--existing", "append", "-o", folder / "t.ndjson"]
        finished = False
        while not finished:
            running = process.start(*arguments)
            try:
                running.communicate(timeout=0.3 + rng.random() * 0.6)
                finished = True
                assert running.returncode == 0
            except subprocess.TimeoutExpired:
                running.kill()
                running.communicate()
                kills += 1
                # The kill may have hit a run that was already through.
                journal = folder / ".t.ndjson.journal"
                finished = (folder / "t.ndjson").exists() and not journal.exists()
        check_complete(folder, inside, appended=target == "append")
        # What was answered before a kill is not asked again, but for the one in flight.
        assert process.asked() <= 12 + kills - before


def check_complete(folder: Path, inside: Path, *, appended: bool) -> None:
    rows = [
        json.loads(line) for line in (folder / "t.ndjson").read_text(encoding="utf-8").splitlines()
    ]
    assert [Path(row["source"]["path"]).name for row in rows] == [f"{i:03}.png" for i in range(12)]
    wanted = [f"A picture of {100 + index}x40 pixels." for index in range(12)]
    assert [row["caption"] for row in rows] == wanted
    if appended:
        for index, caption in enumerate(wanted):
            text = (inside / f"{index:03}.txt").read_text(encoding="utf-8")
            assert text == f"old\n{caption}\n"
    left = {path.name for path in folder.iterdir()} - {
        "in", "log", "script.json", "t.ndjson", "state", "config",
    }  # fmt: skip
    # A kill can leave a temporary file behind, but never under a name that counts.
    assert all(name.startswith(".") for name in left)
