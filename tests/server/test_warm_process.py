"""``dvl2 serve`` as a process: equal answers, sooner; killed, it costs one clear error."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dvl2_cli.engine.remote.places import socket_path
from dvl2_cli.engine.session import Session
from dvl2_cli.settings import Settings
from tests.commands.conftest import picture

ROOT = Path(__file__).parents[2]
MODEL = str(ROOT / "tests" / "golden" / "checkpoints" / "mla")
DVL2 = [sys.executable, "-m", "dvl2_cli"]


def dvl2(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*DVL2, *map(str, arguments), "-m", MODEL]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def timed(*arguments: object) -> tuple[dict[str, Any], str, float]:
    before = time.monotonic()
    done = dvl2(*arguments, "--json", "-v")
    seconds = time.monotonic() - before
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr, seconds


def without_time(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "usage": {**row["usage"], "seconds": 0}}


def started() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*DVL2, "serve", "-m", MODEL], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "warm at" in line:
            return process
    raise AssertionError("the server ended before it was warm")


@pytest.mark.slow
def test_warm_answers_are_equal_and_sooner_and_a_kill_is_survived(tmp_path: Path) -> None:
    photo = picture(tmp_path / "photo.png")
    ask = ("chat", photo, "-p", "what?", "--no-history", "--max-tokens", 12)
    cold, told, cold_seconds = timed(*ask)
    assert "kept warm" not in told
    server = started()
    try:
        path = socket_path(Session(settings=Settings(model=MODEL)).key)
        assert path.stat().st_mode & 0o777 == 0o600
        timed(*ask)
        warm, told, warm_seconds = timed(*ask)
        assert "kept warm" in told
        assert re.search(r", [1-9]\d* reused", told)  # the picture is not read again
        assert without_time(warm) == without_time(cold)
        assert warm_seconds < cold_seconds / 2
        twice = dvl2("serve")
        assert twice.returncode == 2
        assert "already listens" in twice.stderr
        _kill_in_mid_answer(server, photo)
    finally:
        server.kill()
        server.communicate()
    assert path.exists()
    after, told, _ = timed(*ask)
    assert "kept warm" not in told.replace("no model is kept warm", "")
    assert without_time(after) == without_time(cold)
    _stops_when_told()
    assert not path.exists()


def _kill_in_mid_answer(server: subprocess.Popen[str], photo: Path) -> None:
    # Random weights run into a loop; sampled hot, the answer is long.
    client = subprocess.Popen(
        [*DVL2, "chat", str(photo), "-p", "go on", "-m", MODEL, "--max-tokens", "3000",
         "--temperature", "5", "--no-history"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert client.stdout is not None
    assert os.read(client.stdout.fileno(), 1)
    server.send_signal(signal.SIGKILL)
    _, errors = client.communicate(timeout=60)
    assert client.returncode == 3
    assert b"stopped while answering" in errors
    assert b"Traceback" not in errors


def _stops_when_told() -> None:
    server = started()
    done = subprocess.run([*DVL2, "ps", "--stop"], capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    _, errors = server.communicate(timeout=60)
    assert server.returncode == 0
    assert errors == ""
