"""Text files into a folder, each whole or absent, and none over an input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dvl2_cli.errors import UsageError
from dvl2_cli.files import atomic_write, output_error
from dvl2_cli.inputs.sniff import is_picture_or_pdf


def make_folder(folder: Path) -> None:
    """Create ``folder`` and what is above it, if need be.

    Raises:
        OutputError: no permission, no space, or a file is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def check_output(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse an output that would replace an input, before anything is done.

    Args:
        path: of a file that will be written.
        inputs: files that will be read.

    Raises:
        UsageError: it is one of them, or it is a picture or a PDF: an output's name was left out,
            as in ``-o *.png``, where the shell gives the first picture as FILE.
    """
    try:
        if not path.is_file():
            return
        with path.open("rb") as stream:
            is_picture = is_picture_or_pdf(stream.read(64 * 1024))
        is_input = any(item.exists() and item.samefile(path) for item in inputs)
    except OSError:
        return  # what cannot be read is reported when it is written
    if is_input or is_picture:
        what = "an input" if is_input else "a picture"
        raise UsageError(f"{path} is {what} and would be replaced", "Name another output.")


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write every relative name in ``files`` under ``folder``."""
    for name, text in files.items():
        path = folder / name
        make_folder(path.parent)
        write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in UTF-8, in one step.

    Raises:
        OutputError: no space, no permission, or ``path`` is a folder.
    """
    with atomic_write(path) as stream:
        stream.write(text)
