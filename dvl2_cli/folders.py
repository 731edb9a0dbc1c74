"""Giving a finished copy its name: a kill at any moment loses neither it nor the old one."""

from __future__ import annotations

import glob
import os
import shutil
from pathlib import Path


def replace_folder(partial: Path, final: Path) -> None:
    """Rename ``partial`` to ``final``; an older folder there is gone only afterwards.

    Raises:
        OSError: a rename failed; the older folder has its name again.
    """
    old = final.with_name(f".{final.name}.old.{os.getpid()}")
    if final.exists():
        final.rename(old)
    try:
        partial.rename(final)
    except OSError:
        if old.exists():
            old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def recover_interrupted_replace(final: Path) -> None:
    """Tidy up after a run that was killed in `replace_folder`; the caller holds the lock.

    An older folder without a successor gets its name back, any other goes.

    Raises:
        OSError: it cannot be renamed.
    """
    left = final.parent.glob(f".{glob.escape(final.name)}.old.*")
    for old in sorted(left, key=lambda path: path.stat().st_mtime, reverse=True):
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(final)
