"""Talking to one HTTP server: JSON, server-sent events, deadlines, one-line errors."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from dvl2_cli.errors import ModelError, UsageError

_SHORT_SECONDS = 10.0
_SILENT_SECONDS = 600.0  # a CPU may work long on a prompt before its first token
_POLL_SECONDS = 0.05
_LONGEST_LINE = 2**20
_LONGEST_BODY = 8 * 2**20


class ServerError(ModelError):
    """The server cannot be reached, refused, or sent what is no answer."""

    code = "server"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key and pictures go to the server that was named and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Http:
    """One server.

    Args:
        url: of the server, with or without the trailing ``/v1``.
        key: sent as a bearer token; None for none.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--server {url!r} is not a URL", "Write it as http://127.0.0.1:8000")
        self._headers = {"Content-Type": "application/json", "User-Agent": "dvl2"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._opener = urllib.request.build_opener(_NoRedirect)

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at ``path``.

        Raises:
            ServerError: no server, an error, or no JSON object.
        """
        with self._open(path, None, _SHORT_SECONDS) as response:
            try:
                value = json.loads(response.read(_LONGEST_BODY))
            except (ValueError, RecursionError, OSError, http.client.HTTPException) as error:
                raise ServerError(f"{self.url}{path} holds no JSON") from error
        if not isinstance(value, dict):
            raise ServerError(f"{self.url}{path} holds no JSON object")
        return value

    def events(
        self, path: str, body: dict[str, Any], cancel: threading.Event | None = None
    ) -> Iterator[dict[str, Any]]:
        """The JSON objects of a server-sent event stream, until ``[DONE]`` or ``cancel``.

        Raises:
            ServerError: as `get`, or the stream broke off or stayed silent too long.
        """
        incoming: queue.SimpleQueue[dict[str, Any] | ServerError | None] = queue.SimpleQueue()
        pump = _Pump(self, path, body, incoming)
        pump.start()
        try:
            while True:
                if cancel is not None and cancel.is_set():
                    return
                with contextlib.suppress(queue.Empty):
                    item = incoming.get(timeout=_POLL_SECONDS)
                    if isinstance(item, ServerError):
                        raise item
                    if item is None:
                        return
                    yield item
        finally:
            pump.abandon()

    def _open(self, path: str, body: dict[str, Any] | None, seconds: float) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self._headers)  # noqa: S310
        try:
            return self._opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: Exception) -> ServerError:
        """What to tell the user of a failed connection."""
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            text = "it took too long"
        elif isinstance(reason, OSError) and reason.strerror:
            text = reason.strerror
        else:
            text = str(reason) or type(reason).__name__
        return ServerError(f"cannot reach the server {self.url}: {text}")

    def _refusal(self, error: urllib.error.HTTPError) -> ServerError:
        detail = ""
        with contextlib.suppress(Exception), error:
            text = error.read(2**16).decode("utf-8", "replace")
            detail = text.strip().splitlines()[0][:300] if text.strip() else ""
            value = json.loads(text)
            inner = value.get("error", value)
            detail = str(inner.get("message", detail) if isinstance(inner, dict) else inner)
        hint = "Set DVL2_API_KEY." if error.code in (401, 403) else None
        detail = " ".join(detail.split())
        return ServerError(f"the server {self.url} answers {error.code}: {detail}", hint)


class _Pump(threading.Thread):
    """Reads the stream, so that the caller can be cancelled while the server is silent."""

    def __init__(
        self, client: Http, path: str, body: dict[str, Any], out: queue.SimpleQueue[Any]
    ) -> None:
        super().__init__(daemon=True)
        self._client, self._path, self._body, self._out = client, path, body, out
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._abandoned = False

    def run(self) -> None:
        try:
            with self._client._open(self._path, self._body, _SILENT_SECONDS) as response:
                with self._lock:
                    self._socket = _socket_of(response)
                    if self._abandoned:
                        return
                self._read(response)
        except ServerError as error:
            self._out.put(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._out.put(self._client.unreachable(error))

    def abandon(self) -> None:
        """Break the connection, which tells the server to stop."""
        with self._lock:
            self._abandoned = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self, response: Any) -> None:
        while True:
            line = response.readline(_LONGEST_LINE)
            if not line:
                raise ServerError(f"the server {self._client.url} broke off in mid-answer")
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                self._out.put(None)
                return
            try:
                value = json.loads(data)
            except (ValueError, RecursionError) as error:
                raise ServerError(f"the server {self._client.url} sent no JSON") from error
            if isinstance(value, dict):
                self._out.put(value)


def _socket_of(response: Any) -> socket.socket | None:
    raw = getattr(getattr(response, "fp", None), "raw", None)
    found = getattr(raw, "_sock", None)
    return found if isinstance(found, socket.socket) else None
