"""Keeping libtiff's own complaints off stderr; what matters of them is raised by Pillow."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_libtiff(image_format: str | None) -> Iterator[None]:
    """While a TIFF is decoded, point file descriptor 2 at nothing.

    libtiff prints from C, past ``sys.stderr``. Not for use while other threads write there.
    """
    if image_format != "TIFF":
        yield
        return
    with contextlib.suppress(ValueError, OSError):
        sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
