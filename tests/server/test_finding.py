"""Which warm model a command uses, and ``dvl2 ps`` over those that run."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.opening import open_engine
from dvl2_cli.engine.remote.daemon import DaemonEngine, connect_running
from dvl2_cli.engine.remote.places import ModelKey, runtime_folder, socket_path
from dvl2_cli.engine.session import Session
from dvl2_cli.options import CommonOptions
from dvl2_cli.server.daemon import Daemon
from dvl2_cli.settings import Settings
from dvl2_cli.ui.console import Console
from tests.commands.conftest import Cli
from tests.commands.conftest import cli as cli
from tests.fakes import FakeEngine

MODEL = str(Path(__file__).parents[1] / "golden" / "checkpoints" / "mha")
SETTINGS = Settings(model=MODEL)


def session() -> Session:
    common = CommonOptions(model=MODEL)
    return Session(common, Console(common).tell)


@contextmanager
def warm(path: Path, key: ModelKey) -> Iterator[FakeEngine]:
    engine = FakeEngine()
    daemon = Daemon(engine, key, path, idle_seconds=60)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: daemon.run(ready.set))
    thread.start()
    try:
        assert ready.wait(5)
        yield engine
    finally:
        daemon.stop()
        thread.join(10)


def test_a_warm_model_with_the_same_settings_is_used_and_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = Session(settings=SETTINGS).key
    with warm(socket_path(key), key):
        engine = open_engine(session())
        assert isinstance(engine, DaemonEngine)
        assert engine.info.reason == "test; kept warm"
    assert capsys.readouterr().err == "dvl2: model fake (test; kept warm)\n"


@pytest.mark.parametrize(
    ("other", "differing"),
    [
        (replace(SETTINGS, threads=1), "threads"),
        (replace(SETTINGS, quant="int8", max_memory="2GB"), "quant, max memory"),
    ],
)
def test_other_settings_get_no_answer_from_it(
    other: Settings, differing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Session(settings=SETTINGS).key
    wanted = ModelKey.of(Path(MODEL), other)
    asking = Session(settings=other)
    asking.key = wanted  # there is no such copy to resolve
    told: list[str] = []
    with warm(socket_path(key), key):
        assert connect_running(asking, told.append) is None
        assert told == [f"no model is kept warm at {socket_path(wanted)}"]
        monkeypatch.setenv("DVL2_SOCKET", str(socket_path(key)))
        assert connect_running(asking, told.append) is None
    assert told[1] == f"the warm model at {socket_path(key)} differs in {differing}: not used"


def test_another_version_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key = Session(settings=SETTINGS).key
    path = tmp_path / "own.sock"
    monkeypatch.setenv("DVL2_SOCKET", str(path))
    monkeypatch.setattr(
        "dvl2_cli.engine.opening.open_local_engine", lambda *_, **__: FakeEngine("local")
    )
    with warm(path, replace(key, version="0.0.1")):
        engine = open_engine(session())
    assert isinstance(engine, FakeEngine)
    assert f"the warm model at {path} differs in version: not used" in capsys.readouterr().err


def test_a_model_that_changed_on_disk_is_another(tmp_path: Path) -> None:
    for file in Path(MODEL).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    before = Session(settings=Settings(model=str(tmp_path))).key
    config = tmp_path / "config.json"
    os.utime(config, (1, 1))
    after = Session(settings=Settings(model=str(tmp_path))).key
    assert before.fingerprint != after.fingerprint
    assert socket_path(before) != socket_path(after)


def test_a_stale_socket_is_no_obstacle(capsys: pytest.CaptureFixture[str]) -> None:
    path = socket_path(Session(settings=SETTINGS).key)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert connect_running(Session(settings=SETTINGS)) is None
    assert capsys.readouterr().err == ""


def test_the_folder_of_the_sockets_is_its_owners_only() -> None:
    folder = runtime_folder()
    folder.chmod(0o755)
    assert runtime_folder().stat().st_mode & 0o777 == 0o700


def test_ps_lists_and_stops(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no model is kept warm" in cli("ps").err
    key = Session(settings=SETTINGS).key
    own = tmp_path / "own.sock"
    monkeypatch.setenv("DVL2_SOCKET", str(own))
    with warm(socket_path(key), key) as first, warm(own, key) as second:
        first.info = ModelInfo("first\x1b[2J", None, "int4", "cpu", 4096, False, "test")
        rows = json.loads(cli("ps", "--json").out)["servers"]
        assert [row["socket"] for row in rows] == [str(socket_path(key)), str(own)]
        assert {row["pid"] for row in rows} == {os.getpid()}
        shown = [line.split("\t") for line in cli("ps").out.splitlines()]
        assert [row[:3] for row in shown] == [
            ["first\\x1b[2J", "int4", "cpu"],
            [second.info.id, str(second.info.quant), second.info.device],
        ]
        assert {row[-1] for row in shown} == {str(os.getpid())}
        done = cli("ps", "--stop")
        assert (done.code, done.out, done.err) == (0, "", "dvl2: stopped 2 warm models\n")
        assert first.closed
        assert second.closed
    assert "no model is kept warm" in cli("ps", "--stop").err
