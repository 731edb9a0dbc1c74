"""Packages that only some commands need: whether they are there, and how to install them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from dvl2_cli.errors import UsageError

_ROOT = Path(__file__).resolve().parents[1]


def need_packages(what: str, extra: str, *packages: str) -> None:
    """Refuse ``what`` before it begins, where a package is not installed. Imports nothing.

    Args:
        what: an option or command, as it was typed.
        extra: of dvl2, that brings the packages.
        packages: names by which they are imported.

    Raises:
        UsageError: one is missing.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UsageError(
            f"{what} needs {' and '.join(missing)}, which {verb} not installed",
            f"Install it: {install_command(extra)}",
        )


def install_command(extra: str) -> str:
    """What installs the packages of ``extra``, for dvl2 as it is installed here."""
    root = _checkout()
    if root is None:
        return f"pip install 'dvl2[{extra}]'"
    return f"pip install -e '{'.' if root == Path.cwd() else root}[{extra}]'"


def _checkout() -> Path | None:
    """The folder with dvl2's sources; None where it was installed as a package."""
    return _ROOT if (_ROOT / "pyproject.toml").is_file() else None
