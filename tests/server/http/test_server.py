from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvl2_cli.engine.events import Event
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import ModelError, UsageError
from dvl2_cli.server.http.options import (
    ApiKeys,
    HttpLimits,
    HttpOptions,
    ListenAddress,
    parse_address,
    read_keys,
)
from dvl2_cli.server.http.running import HttpServer
from dvl2_cli.server.http.service import Service
from tests.fakes import FakeEngine
from tests.server.http.conftest import Serve, asked, defaults, events

PATH = "/v1/chat/completions"
CONNECTIONS: list[http.client.HTTPConnection] = []
KEYS = ApiKeys(["first-key", "second-key"])


def test_what_it_serves(serve: Serve) -> None:
    client = serve()
    (entry,) = client.get("/v1/models").json()["data"]
    assert (entry["id"], entry["owned_by"], entry["max_model_len"]) == ("fake", "dvl2", 4096)
    assert client.get("/v1/models/fake").json() == entry
    assert client.get("/v1/models/other").status_code == 404
    assert client.get("/health").json() == {"status": "ok", "model": "fake"}


def test_until_the_model_is_loaded_it_says_so(serve: Serve) -> None:
    client = serve(loaded=False)
    for response in (
        client.get("/health"),
        client.get("/v1/models"),
        client.post(PATH, json=asked("what?")),
    ):
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        assert response.json()["error"]["code"] == "loading"


def test_metrics_have_vllms_names(serve: Serve) -> None:
    client = serve()
    client.post(PATH, json=asked("what is it?"))
    client.post(PATH, content=b"{")
    text = client.get("/metrics").text
    assert 'dvl2:generation_tokens_total{model_name="fake"} 9.0' in text
    assert 'dvl2:request_success_total{finished_reason="stop",model_name="fake"} 1.0' in text
    assert 'dvl2:num_requests_running{model_name="fake"} 0.0' in text
    assert 'dvl2:time_to_first_token_seconds_count{model_name="fake"} 1.0' in text
    assert 'dvl2:requests_refused_total{status="400"} 1.0' in text


def test_a_key_is_asked_for(serve: Serve) -> None:
    client = serve(keys=KEYS)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic first-key"}):
        refused = client.get("/v1/models", headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["type"] == "authentication_error"
    allowed = client.get("/v1/models", headers={"Authorization": "Bearer second-key"})
    assert allowed.status_code == 200
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "", "a b", "[::1"])
def test_other_hosts_are_refused(serve: Serve, host: str) -> None:
    response = serve().get("/health", headers={"Host": host})
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "host"


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "Ocr.example"])
def test_its_own_names_are_not(serve: Serve, host: str) -> None:
    assert serve(hosts=("ocr.example",)).get("/health", headers={"Host": host}).is_success


def test_pages_of_others_may_not_ask(serve: Serve) -> None:
    client, evil = serve(), {"Origin": "https://evil.example"}
    assert client.post(PATH, json=asked("what?"), headers=evil).status_code == 403
    own = client.post(PATH, json=asked("what?"), headers={"Origin": "http://127.0.0.1:8000"})
    assert own.is_success
    assert "access-control-allow-origin" not in own.headers
    named = serve(origins=("https://good.example",))
    response = named.post(PATH, json=asked("what?"), headers={"Origin": "https://good.example"})
    assert response.headers["access-control-allow-origin"] == "https://good.example"
    assert named.post(PATH, json=asked("what?"), headers=evil).status_code == 403


def test_nothing_there(serve: Serve) -> None:
    client = serve()
    missing = client.get("/v1/nothing")
    assert (missing.status_code, missing.json()["error"]["param"]) == (404, None)
    assert client.get(PATH).status_code == 405


def test_a_large_body_is_refused(serve: Serve) -> None:
    client = serve(limits=HttpLimits(body_bytes=1000))
    declared = client.post(PATH, content=b" " * 1001)
    chunked = client.post(PATH, content=iter([b" " * 600, b" " * 600]))
    for response in (declared, chunked):
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "too_large"


class Blocked(FakeEngine):
    """Answers when it is let go, or cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go, self.cancelled = (threading.Event() for _ in range(3))

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        events = super().stream(request, cancel)
        yield next(events)
        yield next(events)
        self.asked.set()
        assert cancel is not None
        while not self.go.is_set() and not cancel.is_set():
            cancel.wait(0.01)
        if cancel.is_set():
            self.cancelled.set()
        yield from events


@contextlib.contextmanager
def running(engine: FakeEngine, **limits: float) -> Iterator[HttpServer]:
    """A server on a free port, in a thread."""
    options = HttpOptions(ListenAddress("127.0.0.1", 0), limits=HttpLimits(**limits))  # type: ignore[arg-type]
    server = HttpServer(Service(options, defaults), lambda: engine)
    ready = threading.Event()
    thread = threading.Thread(target=server.serve, args=(ready.set,))
    thread.start()
    try:
        assert ready.wait(30)
        yield server
    finally:
        server.stop()
        while CONNECTIONS:
            CONNECTIONS.pop().close()
        thread.join(30)
        assert not thread.is_alive()


def post(server: HttpServer, **more: object) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", server.address.port, timeout=30)
    body = json.dumps(asked("what?", **more))
    connection.request("POST", PATH, body, {"Content-Type": "application/json"})
    CONNECTIONS.append(connection)
    return connection


def test_a_full_queue_says_when_to_come_again() -> None:
    engine = Blocked()
    with running(engine, queue=1) as server:
        first = post(server)
        assert engine.asked.wait(30)
        refused = post(server).getresponse()
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert json.loads(refused.read())["error"]["type"] == "rate_limit_error"
        engine.go.set()
        assert first.getresponse().status == 200
        assert post(server).getresponse().status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_cancels_its_answer(stream: bool) -> None:
    engine = Blocked()
    with running(engine) as server:
        connection = post(server, stream=stream)
        assert engine.asked.wait(30)
        connection.close()
        assert engine.cancelled.wait(30)
        engine.go.set()
        assert post(server).getresponse().status == 200


def test_it_ends_when_its_answers_have(serve: Serve) -> None:
    engine = Blocked()
    with running(engine) as server:
        response = post(server, stream=True).getresponse()
        assert engine.asked.wait(30)
        server.stop()
        threading.Timer(0.3, engine.go.set).start()
        *_, last, done = events(response.read().decode())
        assert done == "[DONE]"
        assert last["choices"][0]["finish_reason"] == "stop"
    assert engine.closed
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.address.port))


def test_an_answer_that_takes_too_long_at_the_end_is_cancelled() -> None:
    engine = Blocked()
    with running(engine, drain_seconds=1) as server:
        connection = post(server)
        assert engine.asked.wait(30)
        server.stop()
        assert engine.cancelled.wait(30)
        connection.close()


@pytest.mark.parametrize(
    "sent", [b"", b"POST / HT", b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"]
)
def test_a_client_that_says_nothing_is_dropped(sent: bytes) -> None:
    with running(FakeEngine(), silent_seconds=1) as server:
        with socket.create_connection(("127.0.0.1", server.address.port), 30) as sock:
            sock.sendall(sent)
            assert sock.recv(1) == b""
        assert post(server).getresponse().status == 200


def test_a_body_that_does_not_come_is_refused() -> None:
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
    with (
        running(FakeEngine(), silent_seconds=1) as server,
        socket.create_connection(("127.0.0.1", server.address.port), 30) as sock,
    ):
        sock.sendall(head.encode())
        assert b"408" in sock.recv(1000)


def test_a_model_that_cannot_be_loaded_ends_it() -> None:
    def fail() -> FakeEngine:
        raise ModelError("it is broken")

    options = HttpOptions(ListenAddress("127.0.0.1", 0))
    with pytest.raises(ModelError, match="it is broken"):
        HttpServer(Service(options, defaults), fail).run()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("8000", "127.0.0.1", 8000), ("[::1]:80", "::1", 80), ("0.0.0.0:1", "0.0.0.0", 1)],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text) == ListenAddress(host, port)


@pytest.mark.parametrize("text", ["", "host", ":8000", "1.2.3.4:x", "70000", "http://a:1", "-1"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(UsageError, match="PORT"):
        parse_address(text)


def test_who_is_open_to_others_needs_a_key() -> None:
    with pytest.raises(UsageError, match="lets other machines ask"):
        HttpOptions(ListenAddress("0.0.0.0", 8000)).check()
    HttpOptions(ListenAddress("0.0.0.0", 8000), KEYS).check()
    HttpOptions(ListenAddress("localhost", 8000)).check()


def test_keys_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# people\nlong-enough\n\n another-key \n")
    keys = read_keys(path)
    assert keys.allow("another-key")
    assert not keys.allow("# people")
    path.write_text("# nobody\n")
    with pytest.raises(UsageError, match="holds no key"):
        read_keys(path)
    path.write_text("short")
    with pytest.raises(UsageError, match="under 8 characters"):
        read_keys(path)
    with pytest.raises(UsageError, match=re.escape(str(tmp_path))):
        read_keys(tmp_path / "none")


def test_an_address_that_is_taken() -> None:
    with running(FakeEngine()) as server, pytest.raises(UsageError, match="cannot listen at"):
        HttpServer(Service(HttpOptions(server.address), defaults), FakeEngine)


def test_requests_share_an_engine_that_gains_by_it() -> None:
    together = threading.Barrier(3, timeout=60)

    def answer(request: Request) -> str:
        together.wait()  # passes only when three questions are there at once
        return "yes"

    engine = FakeEngine(answer)
    engine.info = dataclasses.replace(engine.info, parallel=8)
    with running(engine) as server:
        asking = [post(server) for _ in range(3)]
        assert [connection.getresponse().status for connection in asking] == [200, 200, 200]
