"""``auto_serve``: the first command starts a warm process, and leaves it to those that follow."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.engine.remote.daemon import daemon_status
from dvl2_cli.engine.remote.places import explicit_socket, socket_path
from dvl2_cli.settings import load_settings

if TYPE_CHECKING:
    from dvl2_cli.engine.session import Session

_POLL_SECONDS = 0.05
# What decides which model is loaded, and how.
_PASSED = ("model", "quant", "device", "adapter", "max_memory", "threads", "idle_minutes")
# Processes that outlive this one: nobody waits for them.
_left_behind: list[subprocess.Popen[bytes]] = []


def start_warm(session: Session) -> bool:
    """Start a process that keeps the session's model warm, and wait until it answers.

    It stops when it is idle, as every warm process. If this one is interrupted while it waits,
    nothing is left behind.

    Returns:
        Whether it answers; if not, loading the model here says why.

    Raises:
        ModelError: the session's model is not on this machine.
    """
    if not hasattr(socket, "AF_UNIX"):
        return False
    path = explicit_socket() or socket_path(session.key)
    # What this process can import, the other can: it may have been started in other ways.
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(  # noqa: S603
        serve_command(session, path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,  # Ctrl-C here is not meant for it
    )
    try:
        while daemon_status(path) is None:
            if process.poll() is not None:
                return daemon_status(path) is not None  # another command's may have been quicker
            time.sleep(_POLL_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    _left_behind.append(process)
    return True


def serve_command(session: Session, path: Path) -> list[str]:
    """``dvl2 serve`` at ``path`` with the session's settings, as far as it would not find them."""
    command = [sys.executable, "-m", "dvl2_cli", "serve", "-q", "--at", str(path)]
    found = load_settings()
    for name in _PASSED:
        value = getattr(session.settings, name)
        if value is not None and value != getattr(found, name):
            command += [f"--{name.replace('_', '-')}", str(value)]
    if session.revision is not None:
        command += ["--revision", session.revision]
    if session.settings.offline and not found.offline:
        command += ["--offline"]
    return command
