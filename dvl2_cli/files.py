"""Files that are whole or absent, never half-written."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, overload

from dvl2_cli.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Files that this process has read as inputs, by their real paths.
_inputs: set[str] = set()
# In bytes. A file's name may have 255, and the temporary one has more around it.
_LONGEST_NAME = 200


@overload
def atomic_write(
    path: Path, mode: Literal["w"] = "w"
) -> contextlib.AbstractContextManager[IO[str]]: ...


@overload
def atomic_write(
    path: Path, mode: Literal["wb"]
) -> contextlib.AbstractContextManager[IO[bytes]]: ...


@contextlib.contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[Any]:
    """Open a temporary file beside ``path``; on success it is synced and renamed to ``path``.

    Args:
        path: where the file ends up; an existing file is replaced in one step. A symbolic link
            stays, and the file that it leads to is replaced. A pipe or a device, as /dev/null or
            /dev/stdout, is written to as it is.
        mode: "w" for UTF-8 text with newlines as written, "wb" for bytes.

    Raises:
        OutputError: no space, no permission, or ``path`` is a folder.
    """
    text_arguments = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    temporary: str | None = None
    lock: int | None = None
    try:
        if is_no_file(path):
            with path.open(mode, **text_arguments) as stream:  # type: ignore[call-overload]
                yield stream
            return
        if os.path.realpath(path) in _inputs:
            raise OutputError(
                f"{path} is an input of this command and would be replaced", "Name another output."
            )
        if path.is_symlink():
            path = Path(os.path.realpath(path))  # the link stays, and leads to the new file
        descriptor, temporary, lock = _temporary_beside(path)
        with os.fdopen(descriptor, mode, **text_arguments) as stream:  # type: ignore[call-overload]
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, _mode_for(path))  # noqa: PTH101
        os.replace(temporary, path)  # noqa: PTH105
        temporary = None
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
        if lock is not None:
            os.close(lock)


def keep_input(path: Path) -> None:
    """Note that ``path`` was read as an input: no output may replace it."""
    _inputs.add(os.path.realpath(path))


def forget_input(path: Path) -> None:
    """Let ``path`` be replaced: it was read by a listing and is an output of an earlier run."""
    _inputs.discard(os.path.realpath(path))


def is_no_file(path: Path) -> bool:
    """Whether ``path`` is a pipe, a device or a name for one, which a rename would destroy."""
    try:
        kind = path.stat().st_mode
        # /dev/stdout is a link even where stdout is an ordinary file.
        is_name = path.is_symlink() and path.absolute().parts[:2] in (("/", "dev"), ("/", "proc"))
    except OSError:
        return False
    return is_name or not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _temporary_beside(path: Path) -> tuple[int, str, int | None]:
    """An empty file in the folder of ``path``: its descriptor, name, and the lock on it.

    Its name depends on ``path`` alone, so that what a killed run left is used by the next
    one. A lock keeps two runs at a time apart; the second gets a file of another name.
    The lock is a descriptor of its own, to be closed after the file is renamed.
    """
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{name[:40]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    temporary = str(path.parent / f".{name}.dvl2-tmp")
    descriptor = _claimed(temporary)
    if descriptor is not None:
        return descriptor, temporary, os.dup(descriptor)
    return *tempfile.mkstemp(prefix=f".{name}.", suffix=".dvl2-tmp", dir=path.parent), None


def _claimed(name: str) -> int | None:
    """The file called ``name``, emptied and locked; None if another has it or it is not ours."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(descriptor)
        # Between the opening and the lock its last owner may have renamed or deleted it.
        is_there = os.path.samestat(held, os.lstat(name))
        if not is_there or held.st_nlink != 1 or held.st_uid != os.geteuid():
            os.close(descriptor)
            return None
        os.ftruncate(descriptor, 0)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):  # no locks here
            with contextlib.suppress(OSError):
                os.unlink(name)  # noqa: PTH108
        return None
    return descriptor


def output_error(path: Path, error: OSError) -> OutputError:
    """An OSError met while writing ``path``, in the user's words."""
    hints = {
        errno.ENOSPC: "Free some space or write to another disk.",
        errno.EDQUOT: "Free some space or write to another disk.",
        errno.EACCES: "Write to a folder you own, or change its permissions.",
        errno.EPERM: "Write to a folder you own, or change its permissions.",
        errno.EROFS: "The file system is read-only: write elsewhere.",
        errno.ENOENT: "Create the folder first.",
        errno.ENAMETOOLONG: "Give the file a shorter name.",
    }
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {path}: {reason}", hints.get(error.errno or 0))


def _mode_for(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
