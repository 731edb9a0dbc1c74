"""The warm process: one engine behind a unix socket, one request at a time, stops when idle."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dvl2_cli import __version__
from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.remote.codec import RequestDecoder, encode_error, encode_event
from dvl2_cli.engine.remote.places import ModelKey, checked_path
from dvl2_cli.engine.remote.wire import (
    ClosedError,
    StoppingError,
    WireError,
    receive_frame,
    send_frame,
)
from dvl2_cli.errors import Dvl2Error, ModelError, UsageError

_MAX_CONNECTIONS = 32
_STOPPING_SECONDS = 10.0


class Daemon:
    """Serves ``engine`` on the socket at ``path``.

    Args:
        engine: used from one worker thread only.
        key: what clients have to want.
        path: of the socket; its folder has to exist and `claim` to be held.
        idle_seconds: without a request for so long, `run` returns.
        frame_seconds: a client that takes longer to send its request is dropped.
    """

    def __init__(
        self,
        engine: Engine,
        key: ModelKey,
        path: Path,
        *,
        idle_seconds: float,
        frame_seconds: float = 30.0,
    ) -> None:
        self._engine = engine
        self._key = key
        self._path = path
        self._idle_seconds = idle_seconds
        self._frame_seconds = frame_seconds
        # Torch keeps a pool of threads for every thread that calls it: so one calls.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._connections: dict[socket.socket, threading.Event] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._started = self._last_used = time.monotonic()
        self._requests = 0

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until idle, stopped by a client, or `stop`; ``ready`` is called when bound."""
        with _listener(self._path) as listener:
            ready()
            while not self._stopping.is_set() and not self._idle():
                if select.select([listener], [], [], 0.1)[0]:
                    with contextlib.suppress(OSError):
                        self._accept(listener.accept()[0])
        self._shut_down()

    def stop(self) -> None:
        """Make `run` return soon; a running answer is cancelled."""
        self._stopping.set()

    def _idle(self) -> bool:
        with self._lock:
            unused = time.monotonic() - self._last_used
            return not self._connections and unused > self._idle_seconds

    def _accept(self, sock: socket.socket) -> None:
        if not _same_user(sock):
            sock.close()
            return
        with self._lock:
            full = len(self._connections) >= _MAX_CONNECTIONS
            if not full:
                self._connections[sock] = threading.Event()
        if full:
            with contextlib.suppress(Dvl2Error), sock:
                sock.settimeout(1.0)
                send_frame(sock, encode_error(WireError("the model server has too many clients")))
            return
        try:
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()
        except RuntimeError:  # no more threads for this user: others still get their answers
            with self._lock:
                del self._connections[sock]
            with sock:
                sock.settimeout(1.0)
                self._say_error(sock, WireError("the model server cannot start another thread"))

    def _serve(self, sock: socket.socket) -> None:
        try:
            message, pixels = receive_frame(sock, seconds=self._frame_seconds)
            sock.settimeout(self._frame_seconds)  # a client that stops reading is dropped too
            self._dispatch(sock, message, pixels)
        except ClosedError:
            pass
        except Dvl2Error as error:
            self._say_error(sock, error)
        except Exception as error:  # the process outlives a fault in one request
            print(f"dvl2: {type(error).__name__}: {error}", file=sys.stderr)
            self._say_error(sock, WireError(f"the model server failed: {type(error).__name__}"))
        finally:
            with self._lock:
                del self._connections[sock]
            sock.close()

    def _say_error(self, sock: socket.socket, error: Dvl2Error) -> None:
        with contextlib.suppress(Dvl2Error, OSError):
            send_frame(sock, encode_error(error))
            # What is still unread would make the kernel reset the connection and throw away
            # the error on its way: read some of it.
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(0.2)
            for _ in range(64):
                if not sock.recv(2**20):
                    break

    def _dispatch(self, sock: socket.socket, message: dict[str, Any], pixels: bytearray) -> None:
        op = message.get("op")
        if op == "status":
            send_frame(sock, self._status())
        elif op == "stop":
            send_frame(sock, {"stopping": True})
            self.stop()
        elif op in ("cost", "stream", "batch"):
            self._run_job(sock, op, message, pixels)
        else:
            raise WireError(f"unknown operation {op!r}")

    def _run_job(
        self, sock: socket.socket, op: str, message: dict[str, Any], pixels: bytearray
    ) -> None:
        decoder = RequestDecoder(pixels)
        raw = message.get("requests") if op == "batch" else [message.get("request")]
        if not isinstance(raw, list) or not raw:
            raise WireError("requests is an array of at least one request")
        requests = [decoder.request(item) for item in raw]
        decoder.finish()
        cancel = self._connections[sock]
        if op != "cost":
            with self._lock:
                self._requests += len(requests)
        done = self._submit(sock, op, requests, cancel)
        self._used()
        _cancel_on_close(sock, done, cancel)
        try:
            done.result()
        except CancelledError as error:
            raise _stopping() from error
        finally:
            self._used()

    def _submit(
        self, sock: socket.socket, op: str, requests: list[Any], cancel: threading.Event
    ) -> Future[None]:
        try:
            if op == "stream":
                return self._worker.submit(self._stream, sock, requests[0], cancel)
            if op == "batch":
                return self._worker.submit(self._batch, sock, requests, cancel)
            return self._worker.submit(
                lambda: send_frame(sock, {"cost": asdict(self._engine.cost(requests[0]))})
            )
        except RuntimeError as error:  # the worker is shut down
            raise _stopping() from error

    def _stream(self, sock: socket.socket, request: Any, cancel: threading.Event) -> None:
        gone = False
        for event in self._engine.stream(request, cancel):
            if gone:
                continue  # let the engine come to its end: it holds state
            cut_off = isinstance(event, Finished) and event.finish_reason == "cancelled"
            if cut_off and self._stopping.is_set():
                raise _stopping()  # half an answer is none: the client asks elsewhere
            try:
                send_frame(sock, encode_event(event))
            except ClosedError:
                gone = True
                cancel.set()

    def _batch(self, sock: socket.socket, requests: list[Any], cancel: threading.Event) -> None:
        if cancel.is_set():
            return  # the client left while this waited its turn
        answers = self._engine.answer_batch(requests)
        send_frame(sock, {"finished": [asdict(answer) for answer in answers]})

    def _used(self) -> None:
        with self._lock:
            self._last_used = time.monotonic()

    def _status(self) -> dict[str, Any]:
        now = time.monotonic()
        return {
            "info": asdict(self._engine.info),
            "key": asdict(self._key),
            "version": __version__,
            "pid": os.getpid(),
            "requests": self._requests,
            "uptime_seconds": round(now - self._started, 1),
            "idle_seconds": round(now - self._last_used, 1),
            "stops_after_seconds": self._idle_seconds,
            "resident_bytes": resident_bytes(),
        }

    def _shut_down(self) -> None:
        with self._lock:
            for cancel in self._connections.values():
                cancel.set()
        # Also drops what waits in the queue; a batch cannot be cancelled and is waited for.
        self._worker.shutdown(wait=True, cancel_futures=True)
        deadline = time.monotonic() + _STOPPING_SECONDS
        while self._connections and time.monotonic() < deadline:
            time.sleep(0.01)
        self._engine.close()


def _stopping() -> StoppingError:
    return StoppingError("the model server is stopping")


def _cancel_on_close(sock: socket.socket, done: Future[None], cancel: threading.Event) -> None:
    """Set ``cancel`` when the client closes (or half-closes) before ``done``."""
    while not done.done():
        if select.select([sock], [], [], 0.05)[0]:
            # Nothing is expected from the client: a byte is as good a reason as the end.
            cancel.set()
            return


@contextlib.contextmanager
def claim(path: Path) -> Iterator[None]:
    """Hold the sole right to listen at ``path``.

    Raises:
        UsageError: another process has it, or the path is something else.
        ModelError: the path is unfit for a socket.
    """
    from filelock import FileLock, Timeout

    checked_path(path)
    _check_socket(path)
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise UsageError(
            f"a model server already listens at {path}", "dvl2 ps shows it."
        ) from error
    except OSError as error:
        raise ModelError(f"cannot make {path}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _check_socket(path: Path) -> None:
    if path.exists() and not path.is_socket():
        raise UsageError(f"{path} exists and is no socket", "Choose another path with --at.")


@contextlib.contextmanager
def _listener(path: Path) -> Iterator[socket.socket]:
    _check_socket(path)
    path.unlink(missing_ok=True)  # of a process that was killed: the claim is ours
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(listener, path)
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def _bind(listener: socket.socket, path: Path) -> None:
    before = os.umask(0o177)  # no moment at which others could connect
    try:
        listener.bind(str(path))
    except OSError as error:
        raise ModelError(f"cannot listen at {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    listener.listen(_MAX_CONNECTIONS)


def _same_user(sock: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the folder's and the socket's permissions alone
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.getuid()


def resident_bytes() -> int:
    """Memory of this process that is in RAM now; its peak where the system tells no more."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
