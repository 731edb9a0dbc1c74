"""The process at the other end of a unix socket: its number, and whether it is suspended."""

from __future__ import annotations

import socket
import sys
from pathlib import Path


def peer_pid(sock: socket.socket) -> int | None:
    """The number of the process that listens behind ``sock``; None where the system tells none."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    try:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return None
    return int.from_bytes(credentials[:4], sys.byteorder) or None


def is_suspended(pid: int) -> bool:
    """Whether a process is stopped, as by SIGSTOP or a debugger; False where nothing tells."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # "pid (name) state …"; the name may hold anything, parentheses too.
    return status.rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"])


def why_silent(sock: socket.socket) -> tuple[str, str | None]:
    """Why nothing comes from ``sock``, in words after "does not answer", and a remedy."""
    pid = peer_pid(sock)
    if pid is None:
        return "", None
    if is_suspended(pid):
        return f": process {pid} is suspended", f"Wake it: kill -CONT {pid}"
    return f": process {pid} is busy or stuck", f"End it if it stays so: kill {pid}"
