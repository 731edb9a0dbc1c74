"""``dvl2 chat`` on a terminal: read, answer, again."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dvl2_cli.chatting.conversation import Conversation
from dvl2_cli.chatting.slash import COMMANDS, attach, greet_pictures, is_command, run_command
from dvl2_cli.commands.chat_setup import ChatOptions, start_session
from dvl2_cli.engine.session import Session
from dvl2_cli.errors import CancelledError, Dvl2Error
from dvl2_cli.prompts import PRESETS
from dvl2_cli.ui.console import Console
from dvl2_cli.ui.dropped import split_files
from dvl2_cli.ui.output import Output
from dvl2_cli.ui.type_ahead import type_ahead
from dvl2_cli.user_folders import NoHomeError, state_folder

if TYPE_CHECKING:
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.chat_input import ChatInput

# Two Ctrl-C within this many seconds end the chat, the first of which may stop an answer.
_TWICE_SECONDS = 2.0
# What people type to leave, without a slash.
_GOODBYES = frozenset({"exit", "quit"})


def converse(options: ChatOptions, common: CommonOptions) -> None:
    """Talk until /exit, Ctrl-D or Ctrl-C twice.

    Raises:
        CancelledError: it ended by Ctrl-C.
    """
    session = Session(common, Console(common).tell)
    session.check_packages()
    if session.settings.server is None:
        _ = session.checkpoint  # a missing or broken model is said before the prompt
    talk = start_session(options, session.settings, common)
    keep = options.keep and session.settings.history
    chat = Conversation(common, session, talk, Output(), keep=keep)
    chat.show_prompt = options.show_prompt
    if options.show_image is not None:
        chat.show_images = options.show_image
    source = _open_input(chat)
    code = 0
    try:
        with type_ahead():
            _greet(chat)
            chat.model.load_behind(source.refresh)
            _Repl(chat, source, steps=options.steps).run()
    except CancelledError as error:
        if not chat.model.is_loading:
            raise
        chat.console.error(error.message)
        code = error.exit_code
    finally:
        chat.model.close()
    if chat.model.is_loading:
        _leave(code)


def _leave(code: int) -> NoReturn:
    """End at once: the thread that loads cannot be stopped, and Python would end in its middle."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Repl:
    def __init__(self, chat: Conversation, source: ChatInput, *, steps: bool) -> None:
        self.chat, self.source = chat, source
        self._steps = steps

    def run(self) -> None:
        while True:
            try:
                line = self.source.read()
            except EOFError:
                return
            except KeyboardInterrupt:
                self._count_interrupt()
                continue
            self.chat.interrupted_at = float("-inf")
            try:
                if self._handle(line):
                    return
            except Dvl2Error as error:
                if error is self.chat.model.load_error:
                    raise  # there is no model that could answer
                if isinstance(error, CancelledError):
                    self.chat.interrupted_at = time.monotonic()
                self.chat.console.error(error.message, error.hint)
            except KeyboardInterrupt:
                raise CancelledError("cancelled") from None

    def _count_interrupt(self) -> None:
        now = time.monotonic()
        if now - self.chat.interrupted_at < _TWICE_SECONDS:
            raise CancelledError("cancelled")
        self.chat.interrupted_at = now
        self.chat.console.note("Ctrl-C again, or Ctrl-D, ends the chat")

    def _handle(self, line: str) -> bool:
        """Do what a line says; whether it ends the chat."""
        line = line.strip()
        if not line:
            return False
        if line.lower() in _GOODBYES:
            return True
        if not is_command(line):
            files, line = split_files(line)
            if files:
                attach(self.chat, files)
            if not line:
                return False
        if line.startswith("/") and not line.startswith("//"):
            return run_command(self.chat, line)
        question = line.removeprefix("/") if line.startswith("//") else line
        self.chat.ask(f"{question}\n{PRESETS['steps']}" if self._steps else question)
        return False


def _greet(chat: Conversation) -> None:
    if chat.talk.turns:
        count = len(chat.talk.turns) // 2
        chat.console.note(f"going on with session {chat.talk.id}, {count} questions so far")
        chat.show_last()
    greet_pictures(chat, chat.talk.pending)
    chat.console.note("/help shows the commands")


def _open_input(chat: Conversation) -> ChatInput:
    from dvl2_cli.ui.chat_input import ChatInput, SlashCompleter

    completer = SlashCompleter(
        {name: command.usage for name, command in COMMANDS.items()},
        frozenset(name for name, command in COMMANDS.items() if command.takes_path),
    )
    return ChatInput(
        completer,
        lambda: _toolbar(chat),
        lambda: chat.model.load_error,
        history=_typed_lines() if chat.keep else None,
        colour=chat.console.colour,
    )


def _typed_lines() -> Path | None:
    try:
        return state_folder() / "chat_lines"
    except NoHomeError:
        return None


def _toolbar(chat: Conversation) -> str:
    info = chat.model.info
    parts = ["loading the model" if info is None else info.id]
    pictures = len(chat.talk.pictures())
    if pictures:
        waiting = len(chat.talk.pending)
        new = f", {waiting} new" if waiting else ""
        parts.append(f"{pictures} picture{'s' if pictures > 1 else ''}{new}")
    if chat.tokens and info is not None:
        parts.append(f"{chat.tokens:,} of {info.context_length:,} tokens")
    if not chat.keep:
        parts.append("not kept")
    return " · ".join(parts)
