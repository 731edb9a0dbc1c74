"""The commands of a conversation: /image, /retry, /ground and the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.chatting.grounding import show_objects
from dvl2_cli.chatting.reading import show_text
from dvl2_cli.errors import UsageError
from dvl2_cli.ui.dropped import named_paths

if TYPE_CHECKING:
    from dvl2_cli.chatting.conversation import Conversation
    from dvl2_cli.engine.request import Tiles
    from dvl2_cli.inputs.picture import Picture

_ATTACHED_ROWS = 10
_ALIASES = {"quit": "exit", "bye": "exit"}
_CHAT_TILES = "auto, or a number from 0 to 9"


@dataclass(frozen=True, slots=True)
class Command:
    """One command; ``run`` gets what follows its name, and ends the chat if it gives True."""

    usage: str
    help: str
    run: Callable[[Conversation, str], bool | None]
    takes_path: bool = False


def is_command(line: str) -> bool:
    """Whether ``line`` starts with the name of a command."""
    name = line[1:].split(" ")[0]
    return line.startswith("/") and _ALIASES.get(name, name) in COMMANDS


def run_command(chat: Conversation, line: str) -> bool:
    """Carry out ``line``, which starts with a slash; whether the chat ends.

    Raises:
        UsageError: there is no such command, or it is not used like this.
    """
    name, _, rest = line[1:].partition(" ")
    command = COMMANDS.get(_ALIASES.get(name, name))
    if command is None:
        import difflib

        near = difflib.get_close_matches(name, (*COMMANDS, *_ALIASES), n=1)
        hint = f"Did you mean /{near[0]}?" if near else "/help lists them."
        raise UsageError(f"there is no command /{name}", f"{hint} // starts a question with /.")
    return bool(command.run(chat, rest.strip()))


def attach(chat: Conversation, names: list[str]) -> None:
    """Read pictures for the next question and say so.

    Raises:
        InputError: one cannot be read; none of them is attached then.
    """
    from dvl2_cli.engine.session import Session
    from dvl2_cli.inputs.load import Reading, load_pictures

    memory = Session(chat.common, remember=False).picture_memory
    reading = Reading(offline=chat.common.offline).within(memory)
    found = list(load_pictures(*names, reading=reading))
    chat.talk.pending += found
    greet_pictures(chat, found)


def greet_pictures(chat: Conversation, pictures: list[Picture]) -> None:
    """Say which pictures are attached, and show them where the terminal can."""
    for picture in pictures:
        chat.console.note(f"attached {describe(picture)}")
        for note in picture.notes:
            chat.console.note(f"  {note}")
        if chat.show_images and chat.console.colour:
            from dvl2_cli.ui.picture import TerminalPicture

            chat.rich.print(TerminalPicture(picture.image, most_rows=_ATTACHED_ROWS))


def describe(picture: Picture) -> str:
    """A picture in one line."""
    page = f" page {picture.page}" if picture.page is not None else ""
    return f"{picture.path}{page} ({picture.width} x {picture.height})"


def _image(chat: Conversation, rest: str) -> None:
    if rest:
        attach(chat, named_paths(rest))
        return
    pictures = chat.talk.pictures()
    if not pictures:
        chat.console.note("no pictures yet: /image PATH, or drop a file here")
    asked = len(pictures) - len(chat.talk.pending)
    for index, picture in enumerate(pictures):
        state = "" if index < asked else ", for the next question"
        chat.console.note(f"{index + 1}. {describe(picture)}{state}")


def _clear(chat: Conversation, rest: str) -> None:
    _nothing(rest, "/clear")
    chat.talk.clear()
    chat.tokens = None
    chat.console.note("cleared: a new session, without pictures")


def _retry(chat: Conversation, rest: str) -> None:
    _nothing(rest, "/retry")
    chat.retry()


def _undo(chat: Conversation, rest: str) -> None:
    _nothing(rest, "/undo")
    question = chat.talk.undo()
    if question is None:
        raise UsageError("nothing has been asked yet")
    pictures = len(chat.talk.pending)
    held = f"; its pictures ({pictures}) go with the next question" if pictures else ""
    chat.console.note(f"forgot the question {question!r} and its answer{held}")


def _system(chat: Conversation, rest: str) -> None:
    if rest:
        chat.talk.system = None if rest == "-" else rest
    chat.console.note(f"system prompt: {chat.talk.system or 'none'}")


def _save(chat: Conversation, rest: str) -> None:
    from dvl2_cli.history.transcript import write_transcript

    if not rest:
        raise UsageError("/save needs a file", "/save talk.json, or talk.md to read it.")
    path = Path(rest).expanduser()
    write_transcript(chat.talk, path)
    chat.console.note(f"saved to {path}")


def _load(chat: Conversation, rest: str) -> None:
    from dvl2_cli.history.store import History
    from dvl2_cli.history.transcript import read_transcript

    if not rest:
        raise UsageError("/load needs a file or a session's id", "dvl2 history lists them.")
    path = Path(rest).expanduser()
    if path.suffix == ".json" or path.is_file():
        chat.talk = read_transcript(path)
    else:
        with History() as history:
            chat.talk = history.load(rest)
    chat.tokens = None
    turns, pictures = len(chat.talk.turns), len(chat.talk.pictures())
    chat.console.note(f"loaded {turns // 2} questions, {pictures} pictures")


def _ground(chat: Conversation, rest: str) -> None:
    if not rest:
        raise UsageError("/ground needs a phrase", "/ground red car")
    show_objects(chat, rest, _pictures(chat)[-1])


def _ocr(chat: Conversation, rest: str) -> None:
    _nothing(rest, "/ocr")
    show_text(chat, _pictures(chat)[-1])


def _tiles(chat: Conversation, rest: str) -> None:
    if rest in ("auto", "default"):
        tiles: Tiles = "auto" if rest == "auto" else None
        chat.defaults = replace(chat.defaults, tiles=tiles)
    elif rest.isdecimal() and int(rest) <= 9:
        chat.defaults = replace(chat.defaults, tiles=int(rest))
    elif rest:
        raise UsageError(f"/tiles {rest}: not a number of tiles", f"{_CHAT_TILES}, or default")
    shown = "the model's own rule" if chat.defaults.tiles is None else chat.defaults.tiles
    chat.console.note(f"local tiles per picture: {shown}")


def _stats(chat: Conversation, rest: str) -> None:
    _nothing(rest, "/stats")
    chat.set_stats(not chat.common.stats)
    chat.console.note("timing is " + ("shown" if chat.common.stats else "hidden"))


def _model(chat: Conversation, rest: str) -> None:
    if rest:
        chat.model.exchange(rest)
    info = chat.engine.info
    chat.console.note(f"model {info.describe()}")


def _help(chat: Conversation, rest: str) -> None:
    _nothing(rest, "/help")
    width = max(len(command.usage) for command in COMMANDS.values())
    lines = [f"{command.usage:<{width}}  {command.help}" for command in COMMANDS.values()]
    lines += [
        "",
        "Enter sends; Alt-Enter or Ctrl-J starts a new line; Ctrl-C stops an answer.",
        "A file dropped on the terminal is attached to the next question.",
    ]
    chat.output.text("\n".join(lines) + "\n")


def _exit(chat: Conversation, rest: str) -> bool:
    del chat
    _nothing(rest, "/exit")
    return True


def _nothing(rest: str, name: str) -> None:
    if rest:
        raise UsageError(f"{name} takes nothing after it, got {rest!r}")


def _pictures(chat: Conversation) -> list[Picture]:
    pictures = chat.latest_pictures()
    if not pictures:
        raise UsageError("there is no picture yet", "/image PATH, or drop a file here.")
    return pictures


COMMANDS: dict[str, Command] = {
    "image": Command("/image [PATH...]", "Attach pictures, or list them.", _image, True),
    "clear": Command("/clear", "Start a new session.", _clear),
    "retry": Command("/retry", "Ask the last question again.", _retry),
    "undo": Command("/undo", "Take the last question back.", _undo),
    "system": Command("/system [TEXT]", "Set the system prompt; - for none.", _system),
    "save": Command("/save FILE", "Write the session as JSON or Markdown.", _save, True),
    "load": Command("/load FILE|ID", "Go on with a saved session.", _load, True),
    "ground": Command("/ground PHRASE", "Boxes of what the phrase names.", _ground),
    "ocr": Command("/ocr", "Read the last picture's text.", _ocr),
    "tiles": Command("/tiles [N|auto]", "How finely pictures are looked at.", _tiles),
    "stats": Command("/stats", "Show or hide timing.", _stats),
    "model": Command("/model [NAME]", "Show the model, or take another.", _model),
    "help": Command("/help", "This list.", _help),
    "exit": Command("/exit", "End; so do exit, quit, /bye and Ctrl-D.", _exit),
}
