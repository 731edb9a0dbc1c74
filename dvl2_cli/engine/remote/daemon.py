"""The engine in a warm process on this machine, spoken to over a unix socket; no torch here."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import Event, Finished, PromptCost
from dvl2_cli.engine.remote.codec import (
    decode_cost,
    decode_error,
    decode_event,
    decode_finished,
    decode_info,
    encode_request,
)
from dvl2_cli.engine.remote.peer import is_suspended, peer_pid, why_silent
from dvl2_cli.engine.remote.places import (
    ModelKey,
    any_socket,
    explicit_socket,
    socket_path,
)
from dvl2_cli.engine.remote.wire import (
    ClosedError,
    SlowError,
    StoppingError,
    WireError,
    receive_frame,
    send_frame,
)
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import Dvl2Error

if TYPE_CHECKING:
    from dvl2_cli.engine.session import Session

_POLL_SECONDS = 0.05
_ANSWER_SECONDS = 5.0
_SEND_SECONDS = 60.0  # a request's pictures, to a process that may be answering others
_LOOK_SECONDS = 5.0  # of silence, until the process is looked at
_ABSENT = object()  # equals no value of a key


class DaemonEngine:
    """Implements `Engine`; one connection per request, closing it cancels the request."""

    def __init__(self, path: Path, info: ModelInfo) -> None:
        self._path = path
        self._info = info

    @property
    def info(self) -> ModelInfo:
        """The model behind the socket."""
        return self._info

    def cost(self, request: Request) -> PromptCost:
        """As `Engine.cost`."""
        message, pixels = encode_request(request)
        with self._ask({"op": "cost", "request": message}, pixels) as sock:
            return decode_cost(self._receive(sock, None).get("cost"))

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """As `Engine.stream`.

        Raises:
            WireError: the warm process died or misbehaved.
        """
        message, pixels = encode_request(request)
        with self._ask({"op": "stream", "request": message}, pixels) as sock:
            while True:
                event = decode_event(self._receive(sock, cancel))
                yield event
                if isinstance(event, Finished):
                    return

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        """As `Engine.answer_batch`."""
        if not requests:
            return []
        messages: list[dict[str, Any]] = []
        pixels: list[bytes] = []
        for request in requests:
            message, own = encode_request(request)
            messages.append(message)
            pixels += own
        with self._ask({"op": "batch", "requests": messages}, pixels) as sock:
            answers = self._receive(sock, None).get("finished")
        if not isinstance(answers, list) or len(answers) != len(requests):
            raise WireError("the model server sent a wrong number of answers")
        return [decode_finished(answer) for answer in answers]

    def close(self) -> None:
        """Nothing to free: the model stays warm in its process."""

    def _ask(self, message: dict[str, Any], pixels: Sequence[bytes]) -> socket.socket:
        sock = connect(self._path)
        try:
            sock.settimeout(_SEND_SECONDS)
            send_frame(sock, message, pixels)
            sock.settimeout(None)
        except ClosedError:
            pass  # the server says why before it closes: read that
        except BaseException:
            sock.close()
            raise
        return sock

    def _receive(self, sock: socket.socket, cancel: threading.Event | None) -> dict[str, Any]:
        cancelled = False
        looked = time.monotonic()
        while not select.select([sock], [], [], _POLL_SECONDS)[0]:
            if time.monotonic() - looked > _LOOK_SECONDS:
                self._check_alive(sock)
                looked = time.monotonic()
            if cancel is not None and cancel.is_set() and not cancelled:
                cancelled = True
                sock.shutdown(socket.SHUT_WR)  # the server reads this as "stop, then tell"
        try:
            message, _ = receive_frame(sock, seconds=_ANSWER_SECONDS)
        except ClosedError as error:
            raise StoppingError(
                f"the model server at {self._path} stopped while answering",
                "Run the command again: without the server it loads the model itself.",
            ) from error
        if "error" in message:
            raise decode_error(message["error"])
        return message

    def _check_alive(self, sock: socket.socket) -> None:
        """A long prompt takes its time; a suspended process would be waited for without end."""
        pid = peer_pid(sock)
        if pid is not None and is_suspended(pid):
            why, hint = why_silent(sock)
            raise StoppingError(f"the model server at {self._path} does not answer{why}", hint)


def connect_running(
    session: Session, explain: Callable[[str], None] = lambda _: None
) -> DaemonEngine | None:
    """The warm engine that has the session's model loaded; None where none runs.

    Asked is the socket that DVL2_SOCKET names, else the model's own in the runtime folder. A
    warm model with any other setting is not used; ``explain`` is then told why.

    Raises:
        ModelError: the session's model is not on this machine.
    """
    path = explicit_socket()
    if path is None and not any_socket():
        return None  # the usual case: nothing of the model has to be looked at
    key = session.key
    path = path or socket_path(key)
    try:
        status = daemon_status(path)
    except SlowError as error:
        explain(f"{error.message}: not used")
        return None
    if status is None:
        explain(f"no model is kept warm at {path}")
        return None
    others = _differences(status.get("key"), key)
    if others:
        explain(f"the warm model at {path} differs in {', '.join(others)}: not used")
        return None
    info = decode_info(status.get("info"))
    return DaemonEngine(path, replace(info, reason=f"{info.reason}; kept warm"))


def _differences(running: object, wanted: ModelKey) -> list[str]:
    """The members in which the key of a running server is not the wanted one."""
    given = running if isinstance(running, dict) else {}
    return [
        name.replace("_", " ")
        for name, value in asdict(wanted).items()
        if given.get(name, _ABSENT) != value
    ]


def daemon_status(path: Path) -> dict[str, Any] | None:
    """What the process behind ``path`` says of itself; None where nothing (sane) listens.

    Raises:
        SlowError: a process listens there and does not answer.
    """
    return _simple(path, "status")


def stop_daemon(path: Path) -> bool:
    """Ask the process behind ``path`` to stop; whether it agreed.

    Raises:
        SlowError: it does not answer.
    """
    return _simple(path, "stop") is not None


def connect(path: Path) -> socket.socket:
    """A connection to the socket at ``path``.

    Raises:
        WireError: nobody listens there.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(_ANSWER_SECONDS)
        sock.connect(str(path))
    except OSError as error:
        sock.close()
        reason = error.strerror or error
        raise StoppingError(f"no model server answers at {path}: {reason}") from error
    sock.settimeout(None)
    return sock


def _simple(path: Path, op: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        with connect(path) as sock:
            send_frame(sock, {"op": op})
            try:
                message, _ = receive_frame(sock, seconds=_ANSWER_SECONDS)
            except SlowError as error:
                why, hint = why_silent(sock)
                text = f"the model server at {path} does not answer{why}"
                raise SlowError(text, hint) from error
    except SlowError:
        raise
    except Dvl2Error:
        return None
    return None if "error" in message else message
