from __future__ import annotations

import base64
import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from PIL import Image

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.load import Reading, load_pictures, read_all
from dvl2_cli.inputs.picture import InputLimits, Picture
from dvl2_cli.inputs.urls import address_of
from dvl2_cli.urls import without_login
from tests.inputs.reading import encoded

PNG = encoded(Image.new("RGB", (20, 10), "red"), "PNG")
LOGIN = f"Basic {base64.b64encode('user:pä ss'.encode()).decode()}"


class Handler(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str | None]]]
    other: str
    ended: threading.Event

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        self.asked.append((self.path, login))
        if self.path == "/private.png" and login != LOGIN:
            self.send_error(401, "Unauthorized")
        elif self.path in ("/stay", "/leave"):
            self.send_response(302)
            target = "/private.png" if self.path == "/stay" else f"{self.other}/public.png"
            self.send_header("Location", target)
            self.end_headers()
        elif self.path == "/drip":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        elif self.path == "/drip-body":
            self._drip(b"HTTP/1.1 200 OK\r\n\r\n")
        elif self.path.startswith("/packed"):
            bomb = self.path == "/packed-bomb"
            self._answer(gzip.compress(bytes(50 * 2**20) if bomb else PNG), "gzip")
        else:
            self._answer(PNG)

    def _answer(self, body: bytes, encoding: str | None = None) -> None:
        self.send_response(200)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, start: bytes) -> None:
        """Bytes without end, each long before any timeout of a socket."""
        self.wfile.write(start)
        try:
            while True:
                self.wfile.write(b"x")
                time.sleep(0.02)
        except OSError:
            self.ended.set()

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def servers() -> Iterator[tuple[str, str, type[Handler]]]:
    class Own(Handler):
        asked: ClassVar[list[tuple[str, str | None]]] = []
        ended = threading.Event()

    running = [ThreadingHTTPServer(("127.0.0.1", 0), Own) for _ in range(2)]
    first, second = (f"127.0.0.1:{server.server_port}" for server in running)
    Own.other = f"http://{second}"
    for server in running:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield first, second, Own
    for server in running:
        server.shutdown()
        server.server_close()


def test_a_login_works_and_is_never_shown(servers: tuple[str, str, type[Handler]]) -> None:
    host, _, _ = servers
    for path in ("private.png", "stay"):
        (picture,) = load_pictures(f"http://user:p%C3%A4%20ss@{host}/{path}")
        assert picture.path == f"http://{host}/{path}"
    (failed,) = read_all([f"http://user:secret@{host}/private.png"])
    assert failed.path == f"http://{host}/private.png"
    assert failed.error.message == f"http://{host}/private.png answered 401 Unauthorized"  # type: ignore[union-attr]


def test_a_login_does_not_follow_to_another_host(servers: tuple[str, str, type[Handler]]) -> None:
    host, _, handler = servers
    (picture,) = load_pictures(f"http://user:secret@{host}/leave")
    assert picture.width == 20
    assert [login is not None for _, login in handler.asked] == [True, False]


def test_offline_does_not_show_a_login() -> None:
    with pytest.raises(InputError) as caught:
        list(load_pictures("https://user:secret@example.org/a.png", reading=Reading(offline=True)))
    assert "secret" not in caught.value.message
    assert "https://example.org/a.png" in caught.value.message


def test_letters_beyond_ascii(servers: tuple[str, str, type[Handler]]) -> None:
    host, _, handler = servers
    (picture,) = load_pictures(f"http://{host}/bücher/é b.png?q=ü%20x&y=1#part")
    assert picture.path == f"http://{host}/bücher/é b.png?q=ü%20x&y=1#part"
    assert handler.asked[0][0] == "/b%C3%BCcher/%C3%A9%20b.png?q=%C3%BC%20x&y=1"
    assert address_of("http://bücher.example:81/ä").url == "http://xn--bcher-kva.example:81/%C3%A4"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:p@h/a@b", "http://h/a@b"),
        ("http://u:p@[::1]:8/a", "http://[::1]:8/a"),
        ("http://h/a?x=u:p@h", "http://h/a?x=u:p@h"),
        ("http://u:p@q@h", "http://h"),
    ],
)
def test_what_is_shown_of_an_address(url: str, shown: str) -> None:
    assert without_login(url) == shown


@pytest.mark.parametrize("url", ["http://", "http:///a.png", "http://h:port/a", "http://[::1/a"])
def test_addresses_that_are_none(url: str) -> None:
    (failed,) = read_all([url])
    assert not isinstance(failed, Picture)


@pytest.mark.parametrize("path", ["drip", "drip-body"])
def test_one_deadline_holds_for_the_whole_exchange(
    servers: tuple[str, str, type[Handler]], path: str
) -> None:
    host, _, handler = servers
    reading = Reading(limits=InputLimits(download_seconds=0.5))
    with pytest.raises(InputError, match=r"took longer than 0.5 seconds"):
        list(load_pictures(f"http://{host}/{path}", reading=reading))
    # The connection is shut, so the server stops too.
    assert handler.ended.wait(60)


def test_packed_pictures_are_unpacked_within_the_limit(
    servers: tuple[str, str, type[Handler]],
) -> None:
    host, _, _ = servers
    (picture,) = load_pictures(f"http://{host}/packed.png")
    assert picture.width == 20
    with pytest.raises(InputError, match="is over 1 MiB"):
        list(
            load_pictures(
                f"http://{host}/packed-bomb",
                reading=Reading(limits=InputLimits(download_bytes=2**20)),
            )
        )
