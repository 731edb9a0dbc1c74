"""Reading a named pipe without waiting for ever for somebody to write to it."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from typing import TextIO

from dvl2_cli.errors import InputError

_POLL_SECONDS = 0.02
_CHUNK = 2**16


def read_pipe(path: Path, limit: int, seconds: float) -> bytes:
    """At most ``limit`` bytes from a pipe; once a writer is there, reading takes what it takes.

    Args:
        path: of a FIFO, as mkfifo and ``<(…)`` of a shell make.
        limit: bytes.
        seconds: to wait for a writer.

    Raises:
        InputError: nobody writes to it.
        OSError: it cannot be opened.
    """
    deadline = time.monotonic() + seconds
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        while True:
            first = stream.read(min(limit, _CHUNK))
            if first != b"":  # None: a writer is there and has written nothing yet
                break
            if time.monotonic() > deadline:
                raise InputError(
                    f"nobody writes to the pipe {path}", "Start what writes to it first."
                )
            time.sleep(_POLL_SECONDS)
        os.set_blocking(descriptor, True)
        found = bytearray(first or b"")
        while len(found) < limit and (chunk := stream.read(min(limit - len(found), _CHUNK))):
            found += chunk
        return bytes(found)


def has_waiting(stream: TextIO) -> bool:
    """Whether ``stream`` holds something that can be read now, without reading or waiting.

    A terminal never does: what is typed there comes later.
    """
    try:
        if stream.isatty():
            return False
        if os.name != "nt" and not select.select([stream], [], [], 0)[0]:
            return False
        return bool(stream.buffer.peek(1))  # type: ignore[attr-defined]  # a BufferedReader
    except (AttributeError, OSError, ValueError):
        return False  # closed, or no file at all
