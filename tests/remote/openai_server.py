"""An OpenAI-compatible server for tests: scripted answers, and what it was asked."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass
class Script:
    """How the server behaves; ``chunks`` are the pieces of its answer."""

    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "m"}])
    chunks: list[Any] = field(default_factory=lambda: ["a red", " car"])
    finish_reason: str = "stop"
    usage: dict[str, int] | None = None
    status: int = 200
    body: bytes = b""
    location: str | None = None
    silent_seconds: float = 0.0
    break_off: bool = False
    refusals: list[int] = field(default_factory=list)  # statuses of the next POSTs, used up
    refusal: bytes = b'{"error": {"message": "busy"}}'
    retry_after: str | None = "0"
    endless: str = ""  # sent again and again in the answer's place


class OpenAIServer:
    """Runs on a free port of 127.0.0.1 while entered."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.left = threading.Event()
        outer = self

        class Handler(_Handler):
            server_state = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_state: OpenAIServer

    def do_GET(self) -> None:
        script = self.server_state.script
        self.server_state.headers.append(dict(self.headers))
        body = script.body or json.dumps({"data": script.models}).encode()
        self.send_response(script.status)
        if script.location:
            self.send_header("Location", script.location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        state = self.server_state
        script = state.script
        length = int(self.headers["Content-Length"])
        state.headers.append(dict(self.headers))
        state.bodies.append(json.loads(self.rfile.read(length)))
        if script.refusals:
            self._refuse(script, script.refusals.pop(0))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            self._answer(script)
        except OSError:
            state.left.set()

    def _refuse(self, script: Script, status: int) -> None:
        self.send_response(status)
        if script.retry_after is not None:
            self.send_header("Retry-After", script.retry_after)
        self.send_header("Content-Length", str(len(script.refusal)))
        self.end_headers()
        self.wfile.write(script.refusal)

    def _answer(self, script: Script) -> None:
        while script.endless:
            self._send(script.endless)
        deadline = time.monotonic() + script.silent_seconds
        while time.monotonic() < deadline:
            self._send(": still there\n\n")
            time.sleep(0.02)
        for piece in script.chunks:
            is_text = isinstance(piece, str)
            value = {"choices": [{"delta": {"content": piece}}]} if is_text else piece
            self._send(f"data: {json.dumps(value)}\n\n")
        if script.break_off:
            return
        last: dict[str, Any] = {"choices": [{"delta": {}, "finish_reason": script.finish_reason}]}
        self._send(f"data: {json.dumps(last)}\n\n")
        if script.usage:
            self._send(f"data: {json.dumps({'choices': [], 'usage': script.usage})}\n\n")
        self._send("data: [DONE]\n\n")

    def _send(self, text: str) -> None:
        self.wfile.write(text.encode())
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Tests keep stderr clean."""
