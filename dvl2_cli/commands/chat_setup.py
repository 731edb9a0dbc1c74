"""What both ways of chatting start from: the options, the pictures, the session."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from dvl2_cli.errors import UsageError
from dvl2_cli.history.session import ChatSession

if TYPE_CHECKING:
    from dvl2_cli.inputs.picture import Picture
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.settings import Settings

# One tile takes 421 tokens of a context of 4096: nothing near so many pictures fits.
_MAX_PICTURES = 64


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """The options of the command line; ``keep`` is whether history may have the session."""

    images: tuple[str, ...] = ()
    prompt: str | None = None
    preset: str | None = None
    schema: str | None = None
    schema_lenient: bool = False
    extract: bool = False
    steps: bool = False
    system: str | None = None
    resume: bool = False
    session: str | None = None
    clipboard: bool = False
    pages: str | None = None
    recursive: bool = False
    top: int | None = None
    pages_as: str = "auto"
    map_prompt: str | None = None
    reduce_prompt: str | None = None
    password: str | None = field(default=None, repr=False)
    show_prompt: bool = False
    show_image: bool | None = None
    keep: bool = True


def start_session(options: ChatOptions, settings: Settings, common: CommonOptions) -> ChatSession:
    """The session to go on with, or a new one; the pictures are pending.

    Raises:
        InputError: a picture cannot be read.
        UsageError: no such session, or too many pictures.
    """
    session = _kept(options) or ChatSession()
    if options.system is not None or session.system is None:
        session.system = options.system or settings.system
    session.pending += load(options, common)
    return session


def load(options: ChatOptions, common: CommonOptions) -> list[Picture]:
    """The pictures that the command line names.

    Raises:
        InputError: one cannot be read.
        UsageError: there are too many.
    """
    from dvl2_cli.engine.session import Session
    from dvl2_cli.inputs.load import Reading, clipboard_pictures, load_pictures
    from dvl2_cli.inputs.pages import PageRanges

    pages = PageRanges.parse(options.pages) if options.pages else None
    reading = Reading(pages, offline=common.offline, password=options.password)
    reading = reading.within(Session(common, remember=False).picture_memory)
    pictures = load_pictures(*options.images, recursive=options.recursive, reading=reading)
    found = list(islice(pictures, _MAX_PICTURES + 1))
    if options.clipboard:
        found += clipboard_pictures(reading)
    if len(found) > _MAX_PICTURES:
        raise UsageError(
            f"more than {_MAX_PICTURES} pictures for one question",
            'Choose with --pages, or ask at once: dvl2 chat FOLDER "…" finds the best pages.',
        )
    return found


def _kept(options: ChatOptions) -> ChatSession | None:
    if not (options.resume or options.session):
        return None
    from dvl2_cli.history.store import History

    with History() as history:
        wanted = options.session or history.last()
        if wanted is None:
            raise UsageError("there is no kept session to go on with", "dvl2 history lists them.")
        return history.load(wanted)
