"""Saving a session beside an answer that has already been given."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dvl2_cli.errors import Dvl2Error
from dvl2_cli.history.store import History

if TYPE_CHECKING:
    from dvl2_cli.history.session import ChatSession


def keep_session(session: ChatSession, model: str, warn: Callable[[str], None]) -> None:
    """Save the session; a history that cannot be written is a warning, for the answer stands."""
    try:
        with History() as history:
            history.save(session, model)
    except Dvl2Error as error:
        warn(f"warning: {error.message}")
