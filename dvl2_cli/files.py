"""Files that are whole or absent, never half-written."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, overload

from dvl2_cli.errors import OutputError


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
        path: where the file ends up; an existing file is replaced in one step.
        mode: "w" for UTF-8 text with newlines as written, "wb" for bytes.

    Raises:
        OutputError: no space, no permission, or ``path`` is a folder.
    """
    text_arguments = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
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


def output_error(path: Path, error: OSError) -> OutputError:
    """An OSError met while writing ``path``, in the user's words."""
    hints = {
        errno.ENOSPC: "Free some space or write to another disk.",
        errno.EACCES: "Write to a folder you own, or change its permissions.",
        errno.EPERM: "Write to a folder you own, or change its permissions.",
        errno.EROFS: "The file system is read-only: write elsewhere.",
        errno.ENOENT: "Create the folder first.",
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
