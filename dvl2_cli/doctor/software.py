"""Versions of what dvl2 is built on, and whether they are those it was made for."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli import __version__
from dvl2_cli.doctor.check import Check, Status, ok
from dvl2_cli.packages import install_command

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GROUP = "software"
_AGAIN = "Install dvl2 again: pip install -c constraints.txt ."


def software_checks() -> Iterator[Check]:
    """dvl2, Python, torch, transformers, bitsandbytes, and all other libraries together."""
    yield ok(GROUP, "dvl2", __version__, str(Path(__file__).parents[1]))
    yield ok(GROUP, "python", platform.python_version(), sys.executable)
    for name in ("torch", "transformers"):
        yield _imported(name)
    yield _bitsandbytes()
    yield _libraries()


def _imported(name: str) -> Check:
    try:
        found = version(name)
        __import__(name)
    except PackageNotFoundError:
        return Check(GROUP, name, Status.FAILED, "not installed", remedy=_AGAIN)
    except Exception as error:  # foreign code, and a library may be torn in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(GROUP, name, Status.FAILED, f"{found} does not import", reason, _AGAIN)
    return ok(GROUP, name, found)


def _bitsandbytes() -> Check:
    name = "bitsandbytes"
    try:
        return ok(GROUP, name, version(name), "for nf4 copies")
    except PackageNotFoundError:
        how = install_command("bnb")
        return ok(GROUP, name, "not installed", f"only nf4 copies need it: {how}")


def _libraries() -> Check:
    """Every requirement of dvl2's own metadata against what is installed."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in requires("dvl2") or ()]
    except PackageNotFoundError:
        return ok(GROUP, "libraries", "not compared", "dvl2 runs from a folder, not installed")
    needed = [item for item in wanted if item.marker is None or item.marker.evaluate({"extra": ""})]
    wrong = [text for item in needed if (text := _fault(item)) is not None]
    if wrong:
        return Check(GROUP, "libraries", Status.FAILED, "; ".join(wrong), remedy=_AGAIN)
    return ok(GROUP, "libraries", f"all {len(needed)} are here in versions that fit")


def _fault(item: Requirement) -> str | None:
    try:
        found = version(item.name)
    except PackageNotFoundError:
        return f"{item.name} is not installed"
    if item.specifier.contains(found, prereleases=True):
        return None
    return f"{item.name} is {found}, not {item.specifier}"
