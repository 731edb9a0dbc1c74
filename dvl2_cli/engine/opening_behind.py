"""Opening an engine behind something else, as a prompt at which a person types already."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from dvl2_cli.engine import opening

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import Engine
    from dvl2_cli.engine.events import Notice
    from dvl2_cli.engine.session import Session


class EngineBehind:
    """An engine that a thread of its own opens, from now on.

    The thread cannot be stopped: who ends the process before `is_done` leaves it behind.

    Args:
        session: says which; it is not changed.

    Attributes:
        notices: what was told meanwhile, for whoever can show it.
    """

    def __init__(self, session: Session) -> None:
        self.notices: list[Notice] = []
        self._future: Future[Engine] = Future()
        own = copy.copy(session)
        own.tell = self.notices.append
        threading.Thread(target=self._open, args=(own,), name="opening", daemon=True).start()

    @property
    def is_done(self) -> bool:
        """Whether it is open, or cannot be."""
        return self._future.done()

    @property
    def error(self) -> BaseException | None:
        """Why it cannot be opened; None while that is not known, and where it is open."""
        return self._future.exception() if self.is_done else None

    def engine(self) -> Engine:
        """The engine, waited for.

        Raises:
            Dvl2Error: as `open_engine`.
            KeyboardInterrupt: while waiting; the thread goes on.
        """
        return self._future.result()

    def when_done(self, call: Callable[[], None]) -> None:
        """Call ``call`` once, in the thread, or now where it is done already."""
        self._future.add_done_callback(lambda _: call())

    def _open(self, session: Session) -> None:
        try:
            engine = opening.open_lasting_engine(session)
        except BaseException as error:  # raised where somebody waits for the engine
            self._future.set_exception(error)
        else:
            self._future.set_result(engine)
