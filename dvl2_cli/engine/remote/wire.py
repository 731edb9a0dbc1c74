"""Frames on a stream socket: a header, a JSON object, then raw bytes for the pictures.

    header   ">4sHHIQ"   magic "DVL2", version, zero, bytes of JSON, bytes of pixels

Both ends refuse a frame of another version or over the limits before they read its body.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from dvl2_cli.errors import ModelError

VERSION = 2
MAX_JSON = 8 * 2**20
MAX_PIXEL_BYTES = 2**30
_MAGIC = b"DVL2"
_HEADER = struct.Struct(">4sHHIQ")
_CHUNK = 2**20


class WireError(ModelError):
    """The other end speaks another protocol, broke a limit, or was too slow."""

    code = "server"


class ClosedError(WireError):
    """The other end closed the connection."""


class SlowError(WireError):
    """The other end took longer than it may."""


class StoppingError(WireError):
    """The warm process ends: the request is lost there, another engine can answer it."""

    code = "stopping"
    fatal = False


def send_frame(sock: socket.socket, message: dict[str, Any], pixels: Sequence[bytes] = ()) -> None:
    """Write one frame.

    Raises:
        WireError: the frame is over the limits.
        ClosedError: the other end is gone.
    """
    body = json.dumps(message, separators=(",", ":")).encode()
    size = sum(len(part) for part in pixels)
    if len(body) > MAX_JSON or size > MAX_PIXEL_BYTES:
        raise WireError(
            f"the request is too large for the model server ({(len(body) + size) / 2**20:.0f} MiB)",
            "Send fewer or smaller pictures.",
        )
    try:
        sock.sendall(_HEADER.pack(_MAGIC, VERSION, 0, len(body), size) + body)
        for part in pixels:
            sock.sendall(part)
    except OSError as error:
        raise ClosedError("the connection closed while sending") from error


def receive_frame(
    sock: socket.socket, *, seconds: float | None = None
) -> tuple[dict[str, Any], bytearray]:
    """Read one frame, all of it within ``seconds`` (None: wait for ever).

    Raises:
        ClosedError: the other end closed before a whole frame.
        WireError: not a frame, over the limits, not JSON, or too slow.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    header = _receive(sock, _HEADER.size, deadline)
    magic, version, _, json_size, pixel_size = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise WireError("the other end does not speak dvl2's protocol")
    if version != VERSION:
        raise WireError(
            f"the other end speaks version {version} of the protocol, this dvl2 version {VERSION}",
            "Restart the model server: dvl2 ps --stop, then dvl2 serve --socket",
        )
    if json_size > MAX_JSON or pixel_size > MAX_PIXEL_BYTES:
        raise WireError(f"a frame of {json_size + pixel_size} bytes is over the limit")
    try:
        message = json.loads(_receive(sock, json_size, deadline))
    except (ValueError, RecursionError) as error:
        raise WireError(f"a frame holds no JSON: {error}") from error
    if not isinstance(message, dict):
        raise WireError("a frame holds no JSON object")
    return message, _receive(sock, pixel_size, deadline)


def _receive(sock: socket.socket, size: int, deadline: float | None) -> bytearray:
    # The buffer grows with what arrives: a header alone cannot make us allocate a gigabyte.
    received = bytearray()
    while len(received) < size:
        if deadline is None:
            sock.settimeout(None)
        else:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            chunk = sock.recv(min(size - len(received), _CHUNK))
        except TimeoutError as error:
            raise SlowError("the other end took too long to send a frame") from error
        except OSError as error:
            raise ClosedError("the connection broke") from error
        if not chunk:
            raise ClosedError("the connection closed")
        received += chunk
    return received
