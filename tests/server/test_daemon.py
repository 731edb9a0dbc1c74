from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dvl2_cli.engine.events import Event, Finished, Started, Token
from dvl2_cli.engine.remote import wire
from dvl2_cli.engine.remote.codec import RequestDecoder, encode_request
from dvl2_cli.engine.remote.daemon import DaemonEngine, daemon_status, stop_daemon
from dvl2_cli.engine.remote.places import ModelKey
from dvl2_cli.engine.request import Constraint, Message, Request, Sampling
from dvl2_cli.errors import Dvl2Error, OutOfMemoryError, UsageError
from dvl2_cli.server.daemon import Daemon, claim
from tests.fakes import FakeEngine

KEY = ModelKey("/m", "f", "auto", "cpu", None, None, None, None)
QUESTION = Request((Message("user", "what is this?"),))


class GatedEngine(FakeEngine):
    """Stops after each event of one kind until it is cancelled or released."""

    def __init__(self, gate: type[Event] = Token) -> None:
        super().__init__("ab")
        self.cancelled = threading.Event()
        self.release = threading.Event()
        self._gate = gate

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        assert cancel is not None
        for event in super().stream(request, cancel):
            # Seen at the end: an engine that is cancelled before its gate never comes to it.
            if isinstance(event, Finished) and event.finish_reason == "cancelled":
                self.cancelled.set()
            yield event
            while isinstance(event, self._gate) and not self.release.is_set():
                if cancel.wait(0.01):
                    break


@contextlib.contextmanager
def serving(
    folder: Path, engine: FakeEngine, idle: float = 60.0, frame: float = 5.0
) -> Iterator[Path]:
    path = folder / "d.sock"
    daemon = Daemon(engine, KEY, path, idle_seconds=idle, frame_seconds=frame)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: daemon.run(ready.set))
    thread.start()
    try:
        assert ready.wait(5)
        yield path
    finally:
        daemon.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_answers_travel_whole(tmp_path: Path) -> None:
    engine = FakeEngine("<|ref|>a car<|/ref|> \x1b[31m ünï\u2028", is_nano=True)
    picture = Image.effect_noise((31, 17), 90).convert("RGB")
    request = Request(
        (
            Message("system", "be brief"),
            Message("user", "hi", (picture, picture.rotate(90))),
        ),
        Sampling(0.5, 0.9, 3, 1.1, 7, 99),
        Constraint("regex", "a+"),
        tiles="auto",
        zoom=1.5,
        stop=("\n\n",),
        max_lines=3,
        loop_guard=False,
    )
    with serving(tmp_path, engine) as path:
        remote = DaemonEngine(path, engine.info)
        assert list(remote.stream(request)) == list(FakeEngine(engine._answer).stream(request))
        assert remote.cost(request) == engine.cost(request)
        assert remote.answer_batch([request, QUESTION]) == engine.answer_batch([request, QUESTION])
        assert remote.answer_batch([]) == []
        received = engine.requests[0]
        images = received.messages[1].images
        assert [image.tobytes() for image in images] == [
            image.tobytes() for image in request.messages[1].images
        ]
        assert _without_images(received) == _without_images(request)
        status = daemon_status(path)
        assert status is not None
        assert status["requests"] == 3
        assert path.stat().st_mode & 0o777 == 0o600
    assert engine.closed
    assert not path.exists()


def _without_images(request: Request) -> Request:
    return replace(request, messages=tuple(replace(m, images=()) for m in request.messages))


def test_errors_keep_their_class(tmp_path: Path) -> None:
    def fail(_: Request) -> str:
        raise OutOfMemoryError("it is full", "buy more")

    with serving(tmp_path, FakeEngine(fail)) as path:
        with pytest.raises(OutOfMemoryError) as caught:
            list(DaemonEngine(path, FakeEngine().info).stream(QUESTION))
        assert (caught.value.message, caught.value.hint) == ("it is full", "buy more")


def test_a_fault_in_one_request_leaves_the_server_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([ZeroDivisionError("oops"), None])

    def answer(_: Request) -> str:
        if error := next(answers):
            raise error
        return "fine"

    with serving(tmp_path, FakeEngine(answer)) as path:
        remote = DaemonEngine(path, FakeEngine().info)
        with pytest.raises(wire.WireError, match="the model server failed: ZeroDivisionError"):
            list(remote.stream(QUESTION))
        *_, last = remote.stream(QUESTION)
        assert isinstance(last, Finished)
        assert last.text == "fine"
    assert capsys.readouterr().err == "dvl2: ZeroDivisionError: oops\n"


def test_setting_cancel_ends_the_answer(tmp_path: Path) -> None:
    engine = GatedEngine()
    with serving(tmp_path, engine) as path:
        cancel = threading.Event()
        events = DaemonEngine(path, engine.info).stream(QUESTION, cancel)
        assert isinstance(next(events), Started)
        assert isinstance(next(events), Token)
        cancel.set()
        *_, last = events
        assert isinstance(last, Finished)
        assert last.finish_reason == "cancelled"
        assert last.text == "a"


@pytest.mark.parametrize("last_read", [Started, Token])
def test_leaving_in_mid_answer_cancels(tmp_path: Path, last_read: type[Event]) -> None:
    engine = GatedEngine(last_read)
    with serving(tmp_path, engine) as path:
        events = DaemonEngine(path, engine.info).stream(QUESTION)
        assert any(isinstance(event, last_read) for event in events)
        events.close()  # type: ignore[attr-defined]
        assert engine.cancelled.wait(5)


def test_a_second_client_waits_its_turn(tmp_path: Path) -> None:
    engine = GatedEngine()
    with serving(tmp_path, engine) as path:
        first = DaemonEngine(path, engine.info).stream(QUESTION)
        next(first)
        second: list[Event] = []
        thread = threading.Thread(
            target=lambda: second.extend(DaemonEngine(path, engine.info).stream(QUESTION))
        )
        thread.start()
        assert daemon_status(path) is not None
        assert not second
        engine.release.set()
        *_, last = first
        thread.join(5)
        assert isinstance(last, Finished)
        assert second[-1] == last


def test_a_server_that_dies_in_mid_answer_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def die() -> None:
            sock, _ = listener.accept()
            wire.receive_frame(sock)
            wire.send_frame(sock, {"event": "token", "text": "a", "token_id": 1, "logprob": 0.0})
            sock.sendall(b"DVL2\0\1")
            sock.close()

        thread = threading.Thread(target=die)
        thread.start()
        events = DaemonEngine(path, FakeEngine().info).stream(QUESTION)
        assert next(events) == Token("a", 1, 0.0)
        with pytest.raises(wire.WireError, match="stopped while answering"):
            next(events)
        thread.join(5)
    with pytest.raises(wire.WireError, match="no model server answers at"):
        list(DaemonEngine(path, FakeEngine().info).stream(QUESTION))


def test_it_stops_when_idle_and_when_told(tmp_path: Path) -> None:
    engine = FakeEngine()
    path = tmp_path / "d.sock"
    Daemon(engine, KEY, path, idle_seconds=0.05).run()
    assert engine.closed
    assert not path.exists()
    with serving(tmp_path, FakeEngine()) as path:
        assert stop_daemon(path)
    assert not stop_daemon(path)


def test_a_stale_socket_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert daemon_status(path) is None
    with serving(tmp_path, FakeEngine()) as path:
        assert daemon_status(path) is not None
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists and is no socket"):
        Daemon(FakeEngine(), KEY, path, idle_seconds=1).run()
    assert path.read_text() == "precious"


def test_only_one_may_claim_a_path(tmp_path: Path) -> None:
    with (
        claim(tmp_path / "d.sock"),
        pytest.raises(UsageError, match="already listens"),
        claim(tmp_path / "d.sock"),
    ):
        pass
    with claim(tmp_path / "d.sock"):
        pass
    with pytest.raises(Dvl2Error, match="over 100 bytes"), claim(tmp_path / ("x" * 100)):
        pass


def _raw(path: Path, data: bytes, *, hang_up: bool = True) -> bytes:
    """What the server says to these bytes until it closes."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
            if hang_up:
                sock.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := sock.recv(65536):
                answer += chunk
        return answer


def _frame(body: bytes, pixels: bytes = b"", *, version: int = wire.VERSION) -> bytes:
    return struct.pack(">4sHHIQ", b"DVL2", version, 0, len(body), len(pixels)) + body + pixels


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"does not speak"),
        (_frame(b"{}", version=wire.VERSION + 1), b"speaks version"),
        (struct.pack(">4sHHIQ", b"DVL2", wire.VERSION, 0, 2**32 - 1, 0), b"over the limit"),
        (struct.pack(">4sHHIQ", b"DVL2", wire.VERSION, 0, 2, 2**63), b"over the limit"),
        (_frame(b"[]"), b"no JSON object"),
        (_frame(b"\xff"), b"no JSON"),
        (_frame(b"[" * 100_000), b"no JSON"),
        (_frame(b"{}"), b"unknown operation None"),
        (_frame(b'{"op":"stream"}'), b"request is an object"),
        (_frame(b'{"op":"batch","requests":[]}'), b"at least one request"),
        (_frame(b'{"op":"status"}')[:-1], b""),
        (b"", b""),
    ],
)
def test_bad_frames_get_a_reason_or_silence(tmp_path: Path, data: bytes, said: bytes) -> None:
    with serving(tmp_path, FakeEngine()) as path:
        answer = _raw(path, data)
        assert said in answer
        assert bool(said) == bool(answer)
        assert daemon_status(path) is not None


def test_a_slow_client_is_dropped(tmp_path: Path) -> None:
    with serving(tmp_path, FakeEngine(), frame=0.3) as path:
        assert b"too long" in _raw(path, b"DVL2\0\1\0\0", hang_up=False)
        with socket.socket(socket.AF_UNIX) as sock:  # a byte now and then is no way around
            sock.settimeout(5)
            sock.connect(str(path))
            with contextlib.suppress(BrokenPipeError):
                for byte in _frame(b'{"op":"status"}'):
                    sock.sendall(bytes([byte]))
                    time.sleep(0.05)
            assert b"too long" in sock.recv(65536)


def test_too_many_clients_are_told_so(tmp_path: Path) -> None:
    with serving(tmp_path, FakeEngine()) as path, contextlib.ExitStack() as stack:
        for _ in range(32):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(str(path))
        assert b"too many clients" in _raw(path, b"", hang_up=False)


def test_random_bytes_and_mutated_requests_do_no_harm(tmp_path: Path) -> None:
    rng = random.Random(4)
    message, pixels = encode_request(Request((Message("user", "hi", (Image.new("RGB", (3, 2)),)),)))
    import json

    good = _frame(json.dumps({"op": "stream", "request": message}).encode(), b"".join(pixels))
    engine = FakeEngine("x")
    with serving(tmp_path, engine, frame=2.0) as path:
        for _ in range(300):
            data = bytearray(good)
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(data))
                if rng.random() < 0.3:
                    del data[at : at + rng.randint(1, 9)]
                else:
                    data[at] = rng.randrange(256)
            _raw(path, bytes(data))
        for size in (1, 19, 20, 21, 4096, 3_000_000):
            _raw(path, rng.randbytes(size))
        *_, last = DaemonEngine(path, engine.info).stream(QUESTION)
        assert isinstance(last, Finished)


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=5), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "role",
                    "content",
                    "images",
                    "sampling",
                    "tiles",
                    "zoom",
                    "stop",
                    "constraint",
                ]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=8,
)
_GOOD, _ = encode_request(QUESTION)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(name=st.sampled_from([*_GOOD, "nothing"]), value=_json, whole=st.booleans())
def test_any_json_is_a_request_or_one_line(name: str, value: object, whole: bool) -> None:
    message = ""
    try:
        RequestDecoder(bytearray()).request(value if whole else {**_GOOD, name: value})
    except Dvl2Error as error:
        message = error.message
    assert "\n" not in message
