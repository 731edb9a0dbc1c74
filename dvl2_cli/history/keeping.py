"""Saving a session beside an answer that has already been given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvl2_cli.errors import Dvl2Error
from dvl2_cli.history.store import History

if TYPE_CHECKING:
    from dvl2_cli.history.session import ChatSession
    from dvl2_cli.ui.console import Console


def keep_session(session: ChatSession, model: str, console: Console) -> None:
    """Save the session; a history that cannot be written is a warning, for the answer stands."""
    try:
        with History() as history:
            history.save(session, model)
    except Dvl2Error as error:
        console.note_once(f"warning: {error.message}")
