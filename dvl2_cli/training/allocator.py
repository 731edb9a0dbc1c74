"""The C library's memory while training on a CPU: what is freed is kept for the next step.

By default glibc gives large blocks back at once, and the kernel has to map and clear them anew
for every activation of every step. Measured with nano on two cores: 1.6 to 1.8 times as many
tokens a second, for the same peak of memory.
"""

from __future__ import annotations

import ctypes
import os
import sys

# mallopt(3)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT, _PAD = 2**31 - 1, 256 << 20


def keep_freed_memory() -> bool:
    """Ask glibc to; False where there is no glibc, or the user has settings of their own."""
    own = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if sys.platform != "linux" or own:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    settings = ((_MMAP_THRESHOLD, _KEPT), (_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _PAD))
    return all(mallopt(name, value) for name, value in settings)
