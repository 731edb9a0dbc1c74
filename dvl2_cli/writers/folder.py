"""Text files into a folder, each whole or absent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dvl2_cli.errors import OutputError
from dvl2_cli.files import atomic_write, output_error
from dvl2_cli.writers.collisions import refuse_picture


def make_folder(folder: Path) -> None:
    """Create ``folder`` and what is above it, if need be.

    Raises:
        OutputError: no permission, no space, or a file is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write every relative name in ``files`` under ``folder``."""
    for name, text in files.items():
        path = folder / name
        make_folder(path.parent)
        write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in UTF-8, in one step.

    Raises:
        OutputError: no space, no permission, or ``path`` is a folder or a picture.
    """
    refuse_picture(path, OutputError)
    with atomic_write(path) as stream:
        stream.write(text)
