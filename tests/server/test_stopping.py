"""A warm process that ends: while it answers, before it answers, and for want of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.events import Event, Finished, Started, Token
from dvl2_cli.engine.remote.daemon import DaemonEngine, daemon_status
from dvl2_cli.engine.remote.fallback import FallbackEngine
from dvl2_cli.engine.remote.wire import StoppingError
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import UsageError
from dvl2_cli.server.daemon import Daemon, claim
from tests.fakes import FakeEngine
from tests.server.test_daemon import KEY, QUESTION, GatedEngine, serving


def client(path: Path, engine: FakeEngine) -> DaemonEngine:
    return DaemonEngine(path, engine.info)


def test_an_answer_that_is_cut_off_is_an_error_and_no_empty_text(tmp_path: Path) -> None:
    engine = GatedEngine()
    path = tmp_path / "d.sock"
    daemon = Daemon(engine, KEY, path, idle_seconds=60)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: daemon.run(ready.set))
    thread.start()
    assert ready.wait(10)
    events = client(path, engine).stream(QUESTION)
    assert isinstance(next(events), Started)
    assert isinstance(next(events), Token)
    daemon.stop()
    with pytest.raises(StoppingError) as caught:
        list(events)
    assert not caught.value.fatal
    thread.join(10)


def test_a_request_while_it_shuts_down_is_told_so(tmp_path: Path) -> None:
    engine = FakeEngine()
    daemon = Daemon(engine, KEY, tmp_path / "d.sock", idle_seconds=60)
    daemon._worker.shutdown()
    with pytest.raises(StoppingError, match="is stopping"):
        daemon._submit(None, "stream", [QUESTION], threading.Event())  # type: ignore[arg-type]


def test_a_thread_that_cannot_start_costs_one_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine("hello")
    with serving(tmp_path, engine) as path:
        start = threading.Thread.start
        failed = threading.Event()

        def no_thread(self: threading.Thread) -> None:
            if not failed.is_set() and "_serve" in repr(getattr(self, "_target", "")):
                failed.set()
                raise RuntimeError("can't start new thread")
            start(self)

        monkeypatch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(Exception, match="cannot start another thread"):
            list(client(path, engine).stream(QUESTION))
        *_, last = client(path, engine).stream(QUESTION)
        assert isinstance(last, Finished)
        assert last.text == "hello"


def test_a_batch_goes_on_without_its_warm_process(tmp_path: Path) -> None:
    warm, opened = FakeEngine("warm"), []

    def open_local() -> Engine:
        opened.append(FakeEngine("local"))
        return opened[-1]

    with serving(tmp_path, warm) as path:
        engine = FallbackEngine(client(path, warm), open_local)
        *_, first = engine.stream(QUESTION)
    answers = [first]
    for _ in range(2):
        *_, last = engine.stream(QUESTION)
        answers.append(last)
    assert [answer.text for answer in answers if isinstance(answer, Finished)] == [
        "warm",
        "local",
        "local",
    ]
    assert len(opened) == 1
    assert engine.answer_batch([QUESTION])[0].text == "local"


def test_tokens_that_were_seen_are_not_answered_anew() -> None:
    class Dying(FakeEngine):
        def stream(
            self, request: Request, cancel: threading.Event | None = None
        ) -> Iterator[Event]:
            yield from list(super().stream(request, cancel))[:3]
            raise StoppingError("gone")

    engine = FallbackEngine(Dying("abc"), lambda: FakeEngine("local"))
    with pytest.raises(StoppingError):
        list(engine.stream(QUESTION))
    *_, last = engine.stream(QUESTION)
    assert isinstance(last, Finished)
    assert last.text == "local"


def test_a_path_that_is_no_socket_is_refused_before_any_work(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is no socket"), claim(path):
        pytest.fail("the claim was given")
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_runtime_folder_that_is_a_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvl2_cli.engine.remote.places import runtime_folder
    from dvl2_cli.errors import ModelError

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dvl2").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr("dvl2_cli.user_folders.runtime_folder", lambda: tmp_path / "dvl2")
    with pytest.raises(ModelError, match="is not your own folder"):
        runtime_folder()


def test_another_user_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvl2_cli.server.daemon._same_user", lambda _: False)
    with serving(tmp_path, FakeEngine()) as path:
        assert daemon_status(path) is None
