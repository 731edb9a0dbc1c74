"""A question about a folder or a long document: which pages, and the question with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, cast, get_args

from dvl2_cli.commands.chat_setup import ChatOptions
from dvl2_cli.commands.reporter import Reporter
from dvl2_cli.commands.resuming import fingerprint, model_identity
from dvl2_cli.commands.sources import InputOptions, Inputs, stands_for_many
from dvl2_cli.engine.request import Message
from dvl2_cli.errors import CancelledError, InputError, NoUsableOutputError, UsageError
from dvl2_cli.inputs.page_name import page_name
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.results.chat import PageShown
from dvl2_cli.retrieval.index import PageHit, PageIndex, has_fts5
from dvl2_cli.retrieval.store import PageStore
from dvl2_cli.retrieval.words import terms_of
from dvl2_cli.tasks.folder.gather import FolderPage, Gatherer
from dvl2_cli.tasks.folder.pack import (
    ChosenPage,
    Packer,
    ShowPages,
    message_about,
    named_pages,
)
from dvl2_cli.tasks.ocr import read_page

if TYPE_CHECKING:
    from dvl2_cli.inputs.load import Reading

DEFAULT_TOP = 5
# So many pages are shown as any pictures are, without looking for the best.
_FEW = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """The pages that were chosen of ``searched``, and what the model is asked."""

    pages: tuple[ChosenPage, ...]
    searched: int
    message: Message

    def records(self, answer: str = "") -> tuple[PageShown, ...]:
        """The pages for the result, with those that ``answer`` names."""
        named, _ = named_pages(answer, len(self.pages))
        return tuple(
            PageShown(
                number,
                item.page.source,
                item.shown_as,
                item.page.text_source,
                item.hit.score,
                item.hit.by,
                number in named,
            )
            for number, item in enumerate(self.pages, 1)
        )

    def warnings(self, answer: str) -> list[str]:
        """What of the answer cannot be right, and which pages are shown in part."""
        _, wrong = named_pages(answer, len(self.pages))
        parts = [item.page.name for item in self.pages if item.shown_as == "part"]
        found = [f"{name} is longer than the context: the model saw a part of it" for name in parts]
        if wrong and len(self.pages) > 1:
            numbers = ", ".join(f"[{number}]" for number in wrong)
            found.append(f"the answer names {numbers}, and no such page was shown")
        return found


class Folder:
    """The pages that the command line names, found and read once for all questions.

    Raises:
        UsageError: --pages-as is no such choice, or SQLite lacks full-text search.
    """

    def __init__(self, options: ChatOptions, reporter: Reporter) -> None:
        if options.pages_as not in get_args(ShowPages):
            choices = ", ".join(get_args(ShowPages))
            raise UsageError(f"--pages-as {options.pages_as}", f"One of {choices}.")
        if not has_fts5():
            raise UsageError(
                "this Python's SQLite has no full-text search (FTS5)",
                "Use a Python with SQLite 3.34 or newer.",
            )
        self._options, self._reporter = options, reporter
        self._show = cast("ShowPages", options.pages_as)
        self._top = options.top or DEFAULT_TOP
        self._pages: list[FolderPage] | None = None
        self._unread = 0

    @property
    def reading(self) -> Reading:
        """How the files are opened."""
        options = self._options
        inputs = InputOptions(options.pages, password=options.password)
        reading = inputs.reading(offline=self._reporter.common.offline)
        return reading.within(self._reporter.session.picture_memory)

    def few(self) -> list[Picture] | None:
        """All pages, where they are so few that no choice is needed and none was asked for."""
        if self._options.top is not None:
            return None
        found: list[Picture] = []
        for item in islice(self._found(), _FEW + 1):
            if isinstance(item, Unreadable):
                raise item.error
            found.append(item)
        return found if len(found) <= _FEW else None

    def choose(self, question: str, asked: str) -> Shown:
        """The pages for ``question`` that fit the context with ``asked``, its full words.

        Raises:
            NoUsableOutputError: no page has a word of the question.
            InputError: no page can be read.
        """
        pages = self.pages()
        hits = self._hits(question, pages)
        if not hits:
            words = ", ".join(term.replace(" ", "") for term in terms_of(question)[:8])
            raise NoUsableOutputError(
                f"none of {len(pages)} pages has a word of the question ({words})",
                'Use words that stand on the pages, or ask every page: --map "…".',
            )
        context, reading = self._reporter.context, self.reading
        packer = Packer(
            context.engine,
            lambda message: context.defaults.request((*self._system(), message)),
            lambda page: page.picture(reading),
            self._show,
        )
        chosen = packer.pack(asked, [(hit, pages[hit.place]) for hit in hits])
        if not chosen:
            raise UsageError(
                "not even a part of a page fits the context with the question",
                "Shorten the question, or lower --tiles.",
            )
        self._tell(chosen, len(pages))
        return Shown(tuple(chosen), len(pages), message_about(asked, chosen))

    def pages(self) -> list[FolderPage]:
        """Every page, read once.

        Raises:
            InputError: there is none.
            CancelledError: Ctrl-C; what was read is kept.
        """
        if self._pages is None:
            self._pages = list(self._gathered())
            if not self._pages:
                raise InputError("none of the pages can be read", "See the messages above.")
        return self._pages

    def _gathered(self) -> Iterator[FolderPage]:
        reporter = self._reporter
        identity = f"model {fingerprint(model_identity(reporter.session))}"
        with PageStore.of_user(reporter.console.note_once) as store:
            gatherer = Gatherer(store, self.reading, identity, self._read)
            for source in self._inputs().sources():
                found = [source] if isinstance(source, Unreadable) else gatherer.pages(source)
                for page in found:
                    if isinstance(page, Unreadable):
                        self._unread += 1
                        reporter.console.error(page.error.message, page.error.hint)
                    else:
                        yield page
                    if reporter.interrupts.stop:
                        raise CancelledError("cancelled")

    def _read(self, picture: Picture) -> str:
        context = self._reporter.context
        self._reporter.console.note(f"reading {page_name(picture.path, picture.page)}")
        text = read_page(context, picture.image).text
        if context.cancelled:
            raise CancelledError("cancelled")
        return text

    def _hits(self, question: str, pages: list[FolderPage]) -> list[PageHit]:
        with PageIndex((page.path, page.text) for page in pages) as index:
            hits = index.best(question, self._top)
        if len(pages) <= self._top:
            found = {hit.place for hit in hits}
            rest = [place for place in range(len(pages)) if place not in found]
            hits += [PageHit(place, 0.0, "all") for place in rest]
        return hits

    def _tell(self, chosen: list[ChosenPage], searched: int) -> None:
        note = self._reporter.console.note
        unread = f"; {self._unread} could not be read" if self._unread else ""
        note(f"{len(chosen)} of {searched} pages are shown to the model{unread}")
        for number, item in enumerate(chosen, 1):
            self._reporter.console.detail(
                f"[{number}] {item.page.name}, as {item.shown_as}, score {item.hit.score:g}"
            )

    def _system(self) -> tuple[Message, ...]:
        system = self._options.system or self._reporter.session.settings.system
        return (Message("system", system),) if system else ()

    def _inputs(self) -> Inputs:
        options = self._options
        inputs = InputOptions(options.pages, recursive=options.recursive, password=options.password)
        made = inputs.inputs(options.images, offline=self._reporter.common.offline)
        made.limit(self._reporter.session.picture_memory)
        return made

    def _found(self) -> Iterator[Picture | Unreadable]:
        return iter(self._inputs())


def is_folder_question(options: ChatOptions) -> bool:
    """Whether the best pages are to be chosen, and not every picture shown.

    Folders, globs and PDFs are gone through; pictures that are named one by one are all shown.
    """
    if not options.images or options.prompt is None or options.preset is not None:
        _check_no_folder(options)
        return False
    found = options.top is not None or any(_is_many(name) for name in options.images)
    if not found:
        _check_no_folder(options)
    return found


def _check_no_folder(options: ChatOptions) -> None:
    """Refuse options that would change nothing."""
    if options.top is not None:
        raise UsageError("--top chooses the pages for a question", "Ask one with -p.")
    if options.pages_as != "auto":
        raise UsageError(
            "--pages-as is about the pages of folders and PDFs that a question finds",
            "Ask about a folder with -p, or leave it out.",
        )


def _is_many(name: str) -> bool:
    return name != "-" and (stands_for_many(name) or name.lower().endswith(".pdf"))
