"""What one check found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from dvl2_cli.errors import Dvl2Error


class Status(StrEnum):
    """How a check ended: failed means that something does not work as it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report.

    ``found`` is the fact or choice, ``reason`` why it is so or where it was read, ``remedy``
    what to do where ``status`` is not ok.
    """

    group: str
    name: str
    status: Status
    found: str
    reason: str | None = None
    remedy: str | None = None


def ok(group: str, name: str, found: str, reason: str | None = None) -> Check:
    """A check without fault."""
    return Check(group, name, Status.OK, found, reason)


def from_error(group: str, name: str, error: Exception) -> Check:
    """A check that ``error`` ended."""
    if isinstance(error, Dvl2Error):
        return Check(group, name, Status.FAILED, error.message, remedy=error.hint)
    found = f"{type(error).__name__}: {error}"
    return Check(group, name, Status.FAILED, found, remedy="Install dvl2 again.")


def guarded(group: str, name: str, checks: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The checks of one part; whatever it raises becomes a failed check called ``name``."""
    try:
        yield from checks()
    except Exception as error:  # a broken installation may fail in any way
        yield from_error(group, name, error)
