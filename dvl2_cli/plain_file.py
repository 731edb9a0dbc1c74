"""Reading small files whole: settings, schemas, licences; never a device, never without end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_plain_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file; /dev/null counts as an empty one.

    Raises:
        OSError: it cannot be read, is a pipe or a device, or holds more than ``max_bytes``;
            its ``strerror`` says which.
    """
    with os.fdopen(_opened(path), "rb") as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"it is over {max_bytes:,} bytes", str(path))
    return data


def read_start(path: Path, most_bytes: int) -> bytes:
    """At most ``most_bytes`` of the beginning of a regular file; otherwise as `read_plain_file`."""
    with os.fdopen(_opened(path), "rb") as stream:
        return stream.read(most_bytes)


def check_plain_file(path: Path) -> None:
    """Refuse what is there and no regular file.

    Raises:
        OSError: as `read_plain_file`.
    """
    os.close(_opened(path))


def _opened(path: Path) -> int:
    # A pipe to which nobody writes would be waited for without end.
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise OSError(errno.EINVAL, "that is no name of a file", ascii(str(path))) from error
    try:
        kind = os.fstat(descriptor)
        if stat.S_ISDIR(kind.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(kind.st_mode) and not os.path.samestat(kind, Path(os.devnull).stat()):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
