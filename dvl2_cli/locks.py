"""One process at a time, also on file systems that have no locks."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

# What flock says on network drives and FUSE mounts without locks.
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


def acquire_lock(path: Path, *, seconds: float = 0) -> BaseFileLock:
    """Hold the lock file ``path``; where there are no locks, a file that names this process.

    Such a file of a process that was killed on this machine is taken over; one of another
    machine stays until it is deleted.

    Raises:
        filelock.Timeout: another process has it after ``seconds``.
        OSError: it cannot be made.
    """
    from filelock import FileLock, SoftFileLock

    lock: BaseFileLock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except TimeoutError:
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        lock = SoftFileLock(path.with_name(f"{path.name}.held"))
        lock.acquire(timeout=seconds)
    return lock


@contextlib.contextmanager
def locked(path: Path, *, seconds: float = 0) -> Iterator[None]:
    """Hold the lock file ``path`` for a while; see `acquire_lock`."""
    lock = acquire_lock(path, seconds=seconds)
    try:
        yield
    finally:
        lock.release()
