"""``auto_serve``: the first command leaves a warm process behind, those that follow use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dvl2_cli.engine import opening
from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.opening import open_engine, open_lasting_engine
from dvl2_cli.engine.remote import starting
from dvl2_cli.engine.remote.daemon import DaemonEngine, daemon_status, stop_daemon
from dvl2_cli.engine.remote.places import socket_path
from dvl2_cli.engine.session import Session
from dvl2_cli.options import CommonOptions
from dvl2_cli.settings import Settings
from tests.fakes import FakeEngine
from tests.server.test_daemon import QUESTION
from tests.server.test_finding import MODEL, SETTINGS, warm

ROOT = Path(__file__).parents[2]
AUTO = replace(SETTINGS, auto_serve=True)
SERVER = """
import json, sys
from pathlib import Path
from dvl2_cli.engine.remote.places import ModelKey
from dvl2_cli.server.daemon import Daemon
from tests.fakes import FakeEngine
key = ModelKey(**json.loads(sys.argv[2]))
Daemon(FakeEngine("from afar"), key, Path(sys.argv[1]), idle_seconds=60).run()
"""


def serve_fake(session: Session, path: Path) -> list[str]:
    return [sys.executable, "-c", SERVER, str(path), json.dumps(asdict(session.key))]


@pytest.fixture
def left_behind() -> Iterator[None]:
    """Ends what a test left behind."""
    yield
    for process in starting._left_behind:
        process.terminate()
        process.wait()
    starting._left_behind.clear()


def answer(engine: Engine) -> str:
    *_, last = engine.stream(QUESTION)
    assert isinstance(last, Finished)
    return last.text


@pytest.mark.usefixtures("left_behind")
def test_the_first_command_starts_it_and_the_second_finds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(starting, "serve_command", serve_fake)
    told: list[str] = []
    first = open_engine(Session(settings=AUTO, tell=lambda notice: told.append(notice.text)))
    assert isinstance(first, DaemonEngine)
    assert answer(first) == "from afar"
    assert sum("stays warm until it is idle for 10 minutes" in text for text in told) == 1
    path = socket_path(Session(settings=AUTO).key)
    status = daemon_status(path)
    assert status is not None
    assert status["pid"] == starting._left_behind[0].pid
    second = open_engine(Session(settings=AUTO))
    assert answer(second) == "from afar"
    assert len(starting._left_behind) == 1
    assert stop_daemon(path)
    assert starting._left_behind[0].wait(60) == 0


def test_nothing_is_started_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "start_warm", lambda session: pytest.fail("it was started"))
    monkeypatch.setattr(opening, "open_local_engine", lambda session: FakeEngine("here"))
    assert answer(open_engine(Session(settings=SETTINGS))) == "here"


def test_where_it_cannot_start_the_model_is_loaded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "raise SystemExit(4)"]
    monkeypatch.setattr(starting, "serve_command", lambda session, path: failing)
    monkeypatch.setattr(opening, "open_local_engine", lambda session: FakeEngine("here"))
    assert answer(open_engine(Session(settings=AUTO))) == "here"
    assert starting._left_behind == []


def test_ctrl_c_while_it_starts_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def kept(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(start(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    waiting = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(starting, "serve_command", lambda session, path: waiting)
    monkeypatch.setattr("subprocess.Popen", kept)
    monkeypatch.setattr("time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_engine(Session(settings=AUTO))
    assert started[0].poll() is not None


def test_it_gets_the_settings_that_it_would_not_find(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DVL2_THREADS", "2")
    common = CommonOptions(model=MODEL, max_memory="8GB", revision="abc", offline=True)
    command = starting.serve_command(Session(common), tmp_path / "s")
    assert command[3:] == [
        *("serve", "-q", "--at", str(tmp_path / "s")),
        *("--model", MODEL, "--max-memory", "8GB", "--revision", "abc", "--offline"),
    ]
    other = Session(settings=Settings(model=MODEL, threads=3, idle_minutes=0.5))
    assert starting.serve_command(other, tmp_path / "s")[7:] == [
        *("--model", MODEL, "--threads", "3", "--idle-minutes", "0.5")
    ]


def test_who_asks_outlives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversation that was idle for too long, or a batch whose process was stopped."""
    monkeypatch.setattr(opening, "open_local_engine", lambda session: FakeEngine("here"))
    key = Session(settings=SETTINGS).key
    with warm(socket_path(key), key):
        engine = open_lasting_engine(Session(settings=SETTINGS))
        assert answer(engine) == "a red car"
    assert answer(engine) == "here"


@pytest.mark.slow
def test_a_real_model_stays_warm(user_folders: Path) -> None:
    environment = {
        **os.environ,
        "DVL2_AUTO_SERVE": "true",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "models"))),
    }

    def dvl2(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dvl2_cli", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    asked = ("chat", "-m", MODEL, "-p", "Hello", "--max-tokens", "3", "--json", "--no-history")
    try:
        first, second = dvl2(*asked), dvl2(*asked)
        rows = [json.loads(done.stdout) for done in (first, second)]
        assert rows[0]["answer"] == rows[1]["answer"]
        assert "stays warm" in first.stderr
        assert "stays warm" not in second.stderr
        assert "kept warm" in second.stderr
        servers = json.loads(dvl2("ps", "--json").stdout)["servers"]
        assert [server["requests"] for server in servers] == [2]
    finally:
        stopped = dvl2("ps", "--stop")
    assert "stopped 1 warm model" in stopped.stderr
