"""Folders that are whole or absent, never half-written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from dvl2_cli.files import output_error
from dvl2_cli.folders import recover_interrupted_replace, replace_folder


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a folder beside ``folder``, sync it, and put it in its place.

    Raises:
        OutputError: no space, or no permission.
    """
    temporary = folder.with_name(f".{folder.name}.part")
    try:
        recover_interrupted_replace(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write(temporary)
        for part in temporary.iterdir():
            sync(part)
        replace_folder(temporary, folder)
        sync(folder.parent)
    except OSError as error:
        raise output_error(folder, error) from error


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
