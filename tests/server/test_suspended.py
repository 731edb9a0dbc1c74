"""A warm process that is suspended costs a bounded wait and one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.engine.remote import daemon
from dvl2_cli.engine.remote.daemon import DaemonEngine, connect_running, daemon_status
from dvl2_cli.engine.remote.peer import is_suspended
from dvl2_cli.engine.remote.wire import SlowError, StoppingError
from dvl2_cli.engine.request import Message, Request
from dvl2_cli.engine.session import Session
from dvl2_cli.settings import Settings
from tests.commands.conftest import Cli
from tests.commands.conftest import cli as cli
from tests.fakes import FakeEngine

ROOT = Path(__file__).parents[2]
SERVER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/models"]
from dvl2_cli.engine.remote.places import ModelKey
from dvl2_cli.server.daemon import Daemon
from tests.fakes import FakeEngine
key = ModelKey("/m", "f", "auto", "cpu", None, None, None, None)
Daemon(FakeEngine(), key, Path(sys.argv[1]), idle_seconds=60).run(lambda: print("up", flush=True))
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")


@pytest.fixture
def suspended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of a server that SIGSTOP holds."""
    for name in ("_ANSWER_SECONDS", "_SEND_SECONDS", "_LOOK_SECONDS"):
        monkeypatch.setattr(daemon, name, 0.2)
    path = tmp_path / "d.sock"
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, path, ROOT], stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout is not None
        assert server.stdout.readline() == "up\n"
        server.send_signal(signal.SIGSTOP)
        while not is_suspended(server.pid):
            time.sleep(0.01)
        yield path
        server.kill()


def test_ps_and_clients_say_that_it_does_not_answer(
    suspended: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SlowError, match=r"does not answer: process \d+ is suspended"):
        daemon_status(suspended)
    monkeypatch.setenv("DVL2_SOCKET", str(suspended))
    for words in (("ps",), ("ps", "--stop"), ("ps", "--json")):
        done = cli(*words)
        assert done.code == 3
        assert done.err.count("does not answer") == 1
        assert "kill -CONT" in done.err
    told: list[str] = []
    model = str(ROOT / "tests" / "golden" / "checkpoints" / "mha")
    assert connect_running(Session(settings=Settings(model=model)), told.append) is None
    assert told[0].endswith("is suspended: not used")


@pytest.mark.parametrize("side", [2, 2000])
def test_a_request_to_it_ends(suspended: Path, side: int) -> None:
    engine = DaemonEngine(suspended, FakeEngine().info)
    request = Request((Message("user", "x", (Image.new("RGB", (side, side)),)),))
    with pytest.raises(StoppingError, match="does not answer"):
        list(engine.stream(request))


def test_this_process_runs() -> None:
    assert not is_suspended(os.getpid())
    assert not is_suspended(2**30)
