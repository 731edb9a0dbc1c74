"""The one check that no output of a command replaces what the command reads."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from dvl2_cli.errors import Dvl2Error, OutputError, UsageError
from dvl2_cli.files import is_no_file
from dvl2_cli.inputs.sniff import is_picture_or_pdf

# Device and inode: links, hard ones too, count as the file that they lead to.
_Identity = tuple[int, int]
_HINT = "Name another output: dvl2 does not overwrite inputs."


def check_outputs(
    outputs: Iterable[Path],
    inputs: Iterable[str | Path],
    error: type[Dvl2Error] = OutputError,
) -> None:
    """Refuse outputs that would replace an input, before any work is done.

    Args:
        outputs: files that may be written; those that do not exist replace nothing.
        inputs: files that will be read. They are only gone through if an output exists.
        error: what is raised.

    Raises:
        OutputError: an output is one of the inputs, or leads to it.
    """
    existing = {}
    for path in outputs:
        identity = _identity(path)
        if identity is not None:
            existing[identity] = path
    if not existing:
        return
    for item in inputs:
        identity = _identity(item)
        if identity is not None and identity in existing:
            raise error(f"{existing[identity]} is an input and would be replaced", _HINT)


def check_output_folder(folder: Path, inputs: Iterable[str | Path]) -> None:
    """Refuse an output folder that is replaced as a whole and holds an input.

    Raises:
        OutputError: an input is ``folder`` or lies in it.
    """
    real = Path(os.path.realpath(folder))
    for item in inputs:
        if Path(os.path.realpath(item)).is_relative_to(real):
            raise OutputError(
                f"{item} is an input, and {folder}, which holds it, would be replaced", _HINT
            )


def refuse_picture(output: Path, error: type[Dvl2Error] = UsageError) -> None:
    """Refuse a text output over a picture or a PDF.

    An output's name was left out, as in ``-o *.png``, where the shell gives the first picture; or
    an input that stdin names later has the name of an output.

    Raises:
        UsageError: ``output`` is a picture or a PDF; or ``error``.
    """
    try:
        if not output.is_file() or is_no_file(output):
            return
        with output.open("rb") as stream:
            is_picture = is_picture_or_pdf(stream.read(64 * 1024))
    except OSError:
        return  # what cannot be read is reported when it is written
    if is_picture:
        raise error(f"{output} is a picture and would be replaced", "Name another output.")


def _identity(path: str | Path) -> _Identity | None:
    """What file ``path`` is; None if it is no regular file that a rename would replace."""
    try:
        found = os.stat(path)  # noqa: PTH116  inputs are strings, and there may be 100,000
        if not stat.S_ISREG(found.st_mode) or is_no_file(Path(path)):
            return None
    except (OSError, ValueError):  # a NUL in the name
        return None
    return found.st_dev, found.st_ino
