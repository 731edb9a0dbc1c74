"""The model of a conversation: loaded behind the prompt, waited for, and exchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dvl2_cli.engine.opening_behind import EngineBehind
from dvl2_cli.errors import CancelledError, Dvl2Error
from dvl2_cli.ui.console import Console

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import Engine, ModelInfo
    from dvl2_cli.engine.session import Session


class ChatModel:
    """The engine of a conversation.

    Args:
        session: settings and model.
        console: shows that it is loaded, and what was told meanwhile.
    """

    def __init__(self, session: Session, console: Console) -> None:
        self._session, self._console = session, console
        self._engine: Engine | None = None
        self._behind: EngineBehind | None = None

    def load_behind(self, when_done: Callable[[], None]) -> None:
        """Begin to open the engine; ``when_done`` is called in another thread."""
        self._behind = EngineBehind(self._session)
        self._behind.when_done(when_done)

    @property
    def is_loading(self) -> bool:
        """Whether the engine is being opened."""
        return self._behind is not None and not self._behind.is_done

    @property
    def load_error(self) -> BaseException | None:
        """Why the engine that was being opened cannot be."""
        return None if self._behind is None else self._behind.error

    @property
    def info(self) -> ModelInfo | None:
        """The model; None while it is not there."""
        if self._engine is not None:
            return self._engine.info
        if self._behind is None or not self._behind.is_done or self._behind.error:
            return None
        return self._behind.engine().info

    @property
    def engine(self) -> Engine:
        """The engine, opened when first asked for; waited for where it is being opened.

        Raises:
            ModelError: the model is missing or broken.
            CancelledError: Ctrl-C while it was waited for; it is still being opened.
        """
        if self._engine is None:
            self._behind = self._behind or EngineBehind(self._session)
            self._engine = self._waited_for(self._behind)
            for notice in self._behind.notices:
                self._console.tell(notice)
            self._behind = None
            if self._engine.info.is_nano:
                self._console.note_nano()
        return self._engine

    def exchange(self, name: str) -> None:
        """Answer with another model from here on; after a failure the old one stays.

        Raises:
            ModelError: the model is missing or broken.
        """
        before = self._session
        if self.is_loading:
            _ = self.engine
        self.close()  # two models would not fit side by side
        self._session = before.with_model(name)
        try:
            _ = self.engine
        except CancelledError:
            raise  # it is still being opened, and answers the next question
        except Dvl2Error:
            self._session, self._behind = before, None
            raise

    def close(self) -> None:
        """Free the model; one that is still being opened is left to end with the process."""
        if self._behind is not None and self._behind.is_done and not self._behind.error:
            self._engine, self._behind = self._behind.engine(), None
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _waited_for(self, behind: EngineBehind) -> Engine:
        if not behind.is_done:
            self._console.doing("loading the model")
        try:
            return behind.engine()
        except KeyboardInterrupt:
            raise CancelledError("not asked: the model is still being loaded") from None
        finally:
            self._console.progress.pause()
