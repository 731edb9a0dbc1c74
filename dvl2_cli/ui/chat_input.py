"""Where questions are typed: history, several lines, completion, a line of state below."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from dvl2_cli.ui.control import printable

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import AnyFormattedText

_STYLE = Style.from_dict({"bottom-toolbar": "noreverse #888888", "prompt": "ansicyan bold"})
_PROMPT = FormattedText([("class:prompt", ">>> ")])
_NO_STYLE = Style.from_dict({"bottom-toolbar": "noreverse"})


class SlashCompleter(Completer):
    """Completes the commands of ``usages`` and, after those in ``with_path``, paths."""

    def __init__(self, usages: Mapping[str, str], with_path: frozenset[str]) -> None:
        self._usages = usages
        self._with_path = with_path
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Completions of the text before the cursor."""
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, space, rest = text[1:].partition(" ")
        if not space:
            for command, usage in self._usages.items():
                if command.startswith(name):
                    yield Completion(f"/{command}", -len(text), display=usage)
        elif name in self._with_path:
            yield from self._paths.get_completions(Document(rest), complete_event)


class ChatInput:
    """Reads questions; ``toolbar`` gives the line below, ``history`` where lines are kept.

    ``failure`` gives an error that ends the reading, as soon as there is one and `refresh` is
    called.
    """

    def __init__(
        self,
        completer: Completer,
        toolbar: Callable[[], str],
        failure: Callable[[], BaseException | None],
        *,
        history: Path | None,
        colour: bool,
    ) -> None:
        self._failure = failure
        self._session: PromptSession[str] = PromptSession(
            history=_history(history),
            completer=completer,
            complete_while_typing=Condition(self._is_command),
            key_bindings=_keys(),
            bottom_toolbar=lambda: _toolbar(toolbar()),
            style=_STYLE if colour else _NO_STYLE,
            prompt_continuation=_continuation,
            enable_open_in_editor=True,
            tempfile_suffix=".md",
        )

    def read(self) -> str:
        """The next question.

        Raises:
            EOFError: Ctrl-D.
            KeyboardInterrupt: Ctrl-C.
            Dvl2Error: what ``failure`` gives.
        """
        return self._session.prompt(_PROMPT, pre_run=self._update)

    def refresh(self) -> None:
        """Draw the line below anew; may be called in any thread, and without a prompt."""
        loop = self._session.app.loop
        if loop is not None:
            # Between two prompts there is no loop any more, and the next one looks itself.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._update)

    def _update(self) -> None:
        app, error = self._session.app, self._failure()
        if error is None:
            app.invalidate()
        elif app.future is not None and not app.future.done():
            app.exit(exception=error)

    def _is_command(self) -> bool:
        text = self._session.default_buffer.text
        return text.startswith("/") and " " not in text


def _history(path: Path | None) -> History:
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _continuation(width: int, number: int, wrapped: int) -> AnyFormattedText:
    del number
    return "" if wrapped else "... ".rjust(width)


def _toolbar(text: str) -> FormattedText:
    return FormattedText([("class:bottom-toolbar.text", printable(text).replace("\n", " "))])
