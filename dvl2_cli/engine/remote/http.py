"""Talking to one HTTP server: JSON, server-sent events, deadlines, retries, one-line errors.

Design decisions:
- an exchange has one deadline and one byte limit as a whole: a server that drips headers, sends
  comments without end or ignores ``max_tokens`` ends in an error, not in a hang;
- a server on this machine is asked directly, whatever proxy the environment names;
- neither the key nor a password in the URL is ever part of a message.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from dvl2_cli.errors import ModelError, UsageError
from dvl2_cli.retrying import MAX_ATTEMPTS, PASSING_STATUS, wait_before
from dvl2_cli.urls import without_login

if TYPE_CHECKING:
    import httpx2

_SHORT_SECONDS = 10.0
SILENT_SECONDS = 600.0  # a CPU may work long on a prompt before its first token
_POLL_SECONDS = 0.05
_MAX_LINE_BYTES = 2**20
_MAX_BODY_BYTES = 8 * 2**20
MAX_STREAM_BYTES = 64 * 2**20
_MAX_FAILED_IN_A_ROW = 5
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ServerError(ModelError):
    """The server cannot be reached, refused, or sent what is no answer."""

    code = "server"


class BusyServerError(ServerError):
    """The server is overloaded or failed for now; the next request may be answered."""

    fatal: ClassVar[bool] = False


class Http:
    """One server.

    Args:
        url: of the server, with or without the trailing ``/v1``; ``user:password@`` in it is
            sent as basic authentication.
        key: sent as a bearer token; None for none.

    Attributes:
        url: as it is shown: without user and password.

    Raises:
        UsageError: not an http(s) URL.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        parts = _parsed(url)
        self.url = without_login(url).rstrip("/").removesuffix("/v1")
        self._secrets = [secret for secret in (key, parts.password) if secret]
        self._headers = {"User-Agent": "dvl2", "Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        user, password = (
            urllib.parse.unquote(part or "") for part in (parts.username, parts.password)
        )
        self._login = (user, password) if user and not key else None
        self.is_local = (parts.hostname or "").lower() in _LOOPBACK
        self._failed_in_a_row = 0

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at ``path``.

        Raises:
            ServerError: no server, an error, or no JSON object.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                found = list(self._lines(path, None, None, _SHORT_SECONDS))
            except _PassingError as error:
                self._wait(attempt, error, None)
            else:
                return self._object(path, b"\n".join(found))
        raise AssertionError("the last attempt raises")

    def events(
        self, path: str, body: dict[str, Any], cancel: threading.Event | None = None
    ) -> Iterator[dict[str, Any]]:
        """The JSON objects of a server-sent event stream, until ``[DONE]`` or ``cancel``.

        A server that is overloaded (429) or fails for now (5xx) is asked again, after the seconds
        that its Retry-After names.

        Raises:
            BusyServerError: it stays so.
            ServerError: as `get`, or the stream broke off or stayed silent too long.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                yield from self._events(path, body, cancel)
            except _PassingError as error:
                self._wait(attempt, error, cancel)
                if cancel is not None and cancel.is_set():
                    return
            else:
                self._failed_in_a_row = 0
                return

    def unreachable(self, error: BaseException) -> ServerError:
        """What to tell the user of a failed connection."""
        text = self._without_secrets(" ".join(str(error).split())[:300]) or type(error).__name__
        proxy = None if self.is_local else _proxy_for(self.url)
        if proxy is not None:
            return ServerError(
                f"cannot reach the server {self.url} through the proxy {without_login(proxy)}: "
                f"{text}",
                "Check http_proxy, https_proxy, all_proxy and no_proxy.",
            )
        return ServerError(f"cannot reach the server {self.url}: {text}")

    def reported(self, text: object) -> ServerError:
        """The error that the server sent in an answer's place."""
        words = self._without_secrets(" ".join(str(text).split())[:300])
        return ServerError(f"the server reports: {words}")

    def _events(
        self, path: str, body: dict[str, Any], cancel: threading.Event | None
    ) -> Iterator[dict[str, Any]]:
        for line in self._lines(path, body, cancel, SILENT_SECONDS):
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            try:
                value = json.loads(data)
            except (ValueError, RecursionError) as error:
                raise ServerError(f"the server {self.url} sent no JSON") from error
            if isinstance(value, dict):
                yield value
        if cancel is None or not cancel.is_set():
            raise ServerError(f"the server {self.url} broke off in mid-answer")

    def _lines(
        self,
        path: str,
        body: dict[str, Any] | None,
        cancel: threading.Event | None,
        silent_seconds: float,
    ) -> Iterator[bytes]:
        """The lines of a response that count: of a stream those with data, else all.

        Raises:
            ServerError: nothing that counts came for ``silent_seconds``, or too many bytes.
        """
        exchange = _RequestThread(self, path, body)
        exchange.start()
        deadline = time.monotonic() + silent_seconds
        try:
            while cancel is None or not cancel.is_set():
                try:
                    item = exchange.lines.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    if time.monotonic() > deadline:
                        raise self.unreachable(TimeoutError("it took too long")) from None
                    continue
                if item is None:
                    return
                if isinstance(item, Exception):
                    raise item
                if body is not None:
                    deadline = time.monotonic() + silent_seconds
                yield item
        finally:
            exchange.abandon()

    def client(self) -> httpx2.Client:
        """A client with this server's headers; a key goes to no other server (no redirects)."""
        import httpx2

        timeout = httpx2.Timeout(SILENT_SECONDS, connect=_SHORT_SECONDS)
        try:
            return httpx2.Client(
                headers=self._headers,
                auth=self._login,
                timeout=timeout,
                follow_redirects=False,
                trust_env=not self.is_local,
            )
        except ImportError as error:
            raise ServerError(
                "the environment names a SOCKS proxy, and the package socksio is missing",
                "Install it: pip install socksio",
            ) from error

    def refusal(self, response: httpx2.Response) -> ServerError | _PassingError:
        """The error that a status other than 200 stands for."""
        detail = ""
        with contextlib.suppress(Exception):
            text = _first_bytes(response, 2**16).decode("utf-8", "replace")
            detail = text.strip().splitlines()[0] if text.strip() else ""
            value = json.loads(text)
            inner = value.get("error", value)
            detail = str(inner.get("message", detail) if isinstance(inner, dict) else inner)
        detail = self._without_secrets(" ".join(detail.split())[:300])
        message = f"the server {self.url} answers {response.status_code}: {detail}"
        if response.status_code in PASSING_STATUS:
            return _PassingError(message, response.headers.get("Retry-After"))
        hint = "Set DVL2_API_KEY." if response.status_code in (401, 403) else None
        return ServerError(message, hint)

    def _object(self, path: str, text: bytes) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ServerError(f"{self.url}{path} holds no JSON") from error
        if not isinstance(value, dict):
            raise ServerError(f"{self.url}{path} holds no JSON object")
        return value

    def _wait(self, attempt: int, error: _PassingError, cancel: threading.Event | None) -> None:
        """Wait for the next attempt.

        Raises:
            BusyServerError: that was the last one.
        """
        wait = wait_before(attempt, error.retry_after)
        if wait is None:
            raise self._gave_up(error) from error
        (cancel or threading.Event()).wait(wait)

    def _gave_up(self, error: _PassingError) -> ServerError:
        self._failed_in_a_row += 1
        message = f"{error} ({MAX_ATTEMPTS} attempts)"
        if self._failed_in_a_row >= _MAX_FAILED_IN_A_ROW:
            return ServerError(
                f"{message}; {self._failed_in_a_row} requests in a row failed", "Try again later."
            )
        return BusyServerError(message, "Try again later.")

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _PassingError(Exception):
    """A refusal that may pass."""

    def __init__(self, message: str, retry_after: str | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _RequestThread(threading.Thread):
    """One request in a thread, so that the caller can leave while the server is silent.

    ``lines`` gets the lines, then None; or an exception.
    """

    def __init__(self, server: Http, path: str, body: dict[str, Any] | None) -> None:
        super().__init__(daemon=True)
        self.lines: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        self._server, self._path, self._body = server, path, body
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._abandoned = False

    def run(self) -> None:
        try:
            self._exchange()
        except (ServerError, _PassingError) as error:
            self.lines.put(error)
        except Exception as error:  # whatever a transport raises
            self.lines.put(self._server.unreachable(error))

    def abandon(self) -> None:
        """Break the connection, which tells the server to stop."""
        with self._lock:
            self._abandoned = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _exchange(self) -> None:
        method = "GET" if self._body is None else "POST"
        url = self._server.url + self._path
        with (
            self._server.client() as client,
            client.stream(method, url, json=self._body) as response,
        ):
            with self._lock:
                self._socket = _socket_of(response)
                if self._abandoned:
                    return
            if response.status_code != 200:
                raise self._server.refusal(response)
            self._read(response)

    def _read(self, response: httpx2.Response) -> None:
        streamed = self._body is not None
        left = MAX_STREAM_BYTES if streamed else _MAX_BODY_BYTES
        rest = b""
        for piece in response.iter_bytes():
            left -= len(piece)
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line.startswith(b"data:") or not streamed:
                    self.lines.put(line)
            if left < 0 or (streamed and len(rest) > _MAX_LINE_BYTES):
                raise ServerError(f"the server {self._server.url} sends more than any answer has")
        if rest and (rest.startswith(b"data:") or not streamed):
            self.lines.put(rest)
        self.lines.put(None)


def _parsed(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bad port or bracket
        valid = False
    if not valid:
        shown = url.rpartition("@")[2]
        raise UsageError(f"--server {shown!r} is not a URL", "Write it as http://127.0.0.1:8000")
    return parts


def _proxy_for(url: str) -> str | None:
    """The proxy that the environment names for ``url``."""
    parts = urllib.parse.urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _first_bytes(response: httpx2.Response, count: int) -> bytes:
    found = b""
    for piece in response.iter_bytes():
        found += piece
        if len(found) >= count:
            break
    return found[:count]


def _socket_of(response: httpx2.Response) -> socket.socket | None:
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("socket") if stream is not None else None
    return found if isinstance(found, socket.socket) else None
