"""Serving: listen at once, load the model meanwhile, end when told to."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable

import uvicorn

from dvl2_cli.engine.engine import Engine
from dvl2_cli.errors import UsageError
from dvl2_cli.server.http.app import application
from dvl2_cli.server.http.connection import PatientProtocol
from dvl2_cli.server.http.one_at_a_time import OneAtATime
from dvl2_cli.server.http.options import ListenAddress
from dvl2_cli.server.http.service import Service

_BACKLOG = 512


class HttpServer:
    """Listens for ``service``, whose model ``open_engine`` loads.

    Attributes:
        address: where it listens; the port is the one that was found where 0 was asked for.

    Raises:
        UsageError: it cannot listen there.
    """

    def __init__(self, service: Service, open_engine: Callable[[], Engine]) -> None:
        self._service = service
        self._open_engine = open_engine
        host = service.options.address.host
        self._socket = _listening(service.options.address)
        self.address = ListenAddress(host, self._socket.getsockname()[1])
        self._failure: BaseException | None = None
        limits = service.options.limits
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(service),
                http=PatientProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=int(limits.silent_seconds),
                timeout_graceful_shutdown=int(limits.drain_seconds),
            )
        )

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """As `serve`, until SIGTERM or SIGINT as well; from the main thread only."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            # uvicorn drains, and then raises the signal again for the handlers from before.
            for number in before:
                signal.signal(number, lambda *_: None)
            self.serve(ready)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`; ``ready`` is called when the model is loaded.

        Raises:
            Dvl2Error: the model cannot be loaded.
        """
        threading.Thread(target=self._load, args=(ready,), daemon=True).start()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._service.close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Make `run` return when the answers that are being written have ended."""
        self._server.should_exit = True

    def _load(self, ready: Callable[[], None]) -> None:
        try:
            engine = self._open_engine()
            # What gains by several requests at once takes them of several threads.
            self._service.open(engine if engine.info.parallel > 1 else OneAtATime(engine))
            ready()
        except BaseException as error:  # raised again by `run`
            self._failure = error
            self.stop()


def _listening(address: ListenAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen at {address.host}:{address.port}: {error.strerror or error}",
            "Choose another address with --http.",
        ) from error
    return listener
