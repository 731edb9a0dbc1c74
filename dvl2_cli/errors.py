"""Errors that a user is meant to read: one line of what and why, one of what to do.

Each class owns its exit code, so no command maps errors to codes by hand.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict


class ErrorJson(TypedDict):
    """The ``error`` member of a line of ``--json``."""

    code: str
    message: str
    hint: str | None


class Dvl2Error(Exception):
    """A failure with a message for the user and, where there is one, a remedy.

    Args:
        message: what went wrong and with which file, key or value; one line.
        hint: what to do about it; one line, or None.

    Attributes:
        fatal: whether it would meet every other input too, so that going on is pointless.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"
    fatal: ClassVar[bool] = False

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_json(self) -> ErrorJson:
        """The ``error`` member of the JSON envelope."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class InputError(Dvl2Error):
    """An input file that is missing, unreadable, not what it claims, or over a limit."""

    exit_code = 1
    code = "input"


class UsageError(Dvl2Error):
    """A command line that cannot be carried out as written."""

    exit_code = 2
    code = "usage"
    fatal = True


class ContextOverflowError(UsageError):
    """A prompt that does not fit the model's context."""

    code = "context"
    fatal = False


class ModelError(Dvl2Error):
    """A model that is missing, incomplete, of the wrong type, or not reachable offline."""

    exit_code = 3
    code = "model"
    fatal = True


class OutOfMemoryError(Dvl2Error):
    """A plan or a run that does not fit the machine's memory."""

    exit_code = 4
    code = "oom"


class QueueFullError(Dvl2Error):
    """More requests at once than may wait for the model."""

    code = "queue_full"


class NoUsableOutputError(Dvl2Error):
    """Output that stayed a repetition loop or could not be parsed."""

    exit_code = 5
    code = "no_output"


class OutputError(Dvl2Error):
    """A result that could not be written: no space, no permission, path is a folder."""

    exit_code = 1
    code = "output"


class CancelledError(Dvl2Error):
    """The user pressed Ctrl-C."""

    exit_code = 130
    code = "cancelled"
