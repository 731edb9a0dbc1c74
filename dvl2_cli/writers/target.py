"""What ``-o`` names: stdout, a file whose suffix says its format, or a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dvl2_cli.errors import UsageError
from dvl2_cli.files import is_no_file
from dvl2_cli.writers.collisions import refuse_picture

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """Where results go: a ``file``, a ``folder``, or stdout where both are None.

    ``form`` is the format that the option or the file's suffix asks for; None where neither does.
    """

    form: str | None = None
    file: Path | None = None
    folder: Path | None = None

    @property
    def is_stdout(self) -> bool:
        """Whether results go to stdout."""
        return self.file is None and self.folder is None


def target_of(
    output: str | None,
    form: str | None,
    suffixes: Mapping[str, str],
    *,
    to_folders: bool = True,
) -> OutputTarget:
    """What ``-o OUTPUT`` and ``-f FORM`` ask for together.

    Args:
        output: as it was typed; None where it was not.
        form: as it was typed; it wins over a suffix.
        suffixes: of files, in small letters, and the formats that they mean.
        to_folders: whether a name without a suffix is a folder where ``form`` says the format.

    Raises:
        UsageError: the suffix means no format, or the file is a picture.
    """
    if output is None or output == STDOUT:
        return OutputTarget(form)
    path = Path(output).expanduser()
    if output.endswith("/") or path.is_dir():
        return OutputTarget(form, folder=path)
    if is_no_file(path):
        return OutputTarget(form, file=path)
    if not path.suffix and (to_folders or form is None):
        return OutputTarget(form, folder=path)
    refuse_picture(path)
    found = suffixes.get(path.suffix.lower())
    if found is None and form is None:
        raise UsageError(
            f"-o {output}: no format is called {path.suffix}",
            f"Use one of {', '.join(suffixes)}, or -f; end a folder's name with /.",
        )
    return OutputTarget(form or found, file=path)
