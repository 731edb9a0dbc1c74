"""The text of every page that is asked about: kept from before, from its layer, or read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.load import Reading, read_pictures
from dvl2_cli.inputs.page_name import page_name
from dvl2_cli.inputs.pages import PageRanges
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.inputs.sources import InputSource
from dvl2_cli.results.chat import TextSource
from dvl2_cli.results.envelope import Source
from dvl2_cli.retrieval.store import KeptPage, PageStore
from dvl2_cli.tasks.reading.layer import page_of
from dvl2_cli.tasks.reading.layer_verdict import judge_layer

# Changes when layers are taken apart in another way, so that they are read again.
_LAYER_READER = "layer 1"


@dataclass(frozen=True, slots=True)
class FolderPage:
    """A page whose text is known; ``held`` is its picture where it cannot be read again."""

    origin: InputSource
    path: str
    sha256: str
    page: int | None
    text: str
    text_source: TextSource
    held: Picture | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What people call the page."""
        return page_name(self.path, self.page)

    @property
    def source(self) -> Source:
        """The page for results."""
        return Source(self.path, self.sha256, self.page)

    def picture(self, reading: Reading) -> Picture:
        """The page as a picture.

        Raises:
            InputError: the file cannot be read any more, or is another one by now.
        """
        if self.held is not None:
            return self.held
        chosen = None if self.page is None else PageRanges(((self.page, self.page),))
        for found in read_pictures(self.origin, replace(reading, pages=chosen)):
            if isinstance(found, Unreadable):
                raise found.error
            if found.sha256 == self.sha256:
                return found
        raise InputError(f"{self.name} changed while it was asked about", "Ask again.")


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Goes through sources, page by page.

    Attributes:
        store: where pages are kept.
        reading: how files are opened.
        reader: which model reads pixels; another one's readings are not used.
        read: reads a page from its pixels.
    """

    store: PageStore
    reading: Reading
    reader: str
    read: Callable[[Picture], str]

    def pages(self, source: InputSource) -> Iterator[FolderPage | Unreadable]:
        """The pages of one source, each read and kept unless it was before."""
        digest = _digest(source)
        kept = None if digest is None else self._all_kept(source, digest)
        if kept is not None and digest is not None:
            self.store.touch(digest)
            yield from kept
            return
        pages, whole = 0, self.reading.pages is None
        reading = replace(self.reading, text_layers=True)
        for found in read_pictures(source, reading):
            if isinstance(found, Unreadable):
                whole = False
                yield found
                continue
            digest, pages = found.sha256, found.page or 0
            yield self._page(source, found)
        if whole and digest is not None:
            self.store.keep_count(digest, pages)

    def _all_kept(self, source: InputSource, digest: str) -> list[FolderPage] | None:
        """The chosen pages of a document, if all of them were read before."""
        count = self.store.count(digest)
        if count is None:
            return None
        chosen = self.reading.pages
        if chosen is not None and (count == 0 or chosen.beyond(count)):
            return None  # reading it says what is wrong with them
        wanted = range(1, count + 1) if chosen is None else chosen.select(count)
        found = []
        for page in [0] if count == 0 else wanted:
            kept = self._kept(digest, page)
            if kept is None:
                return None
            found.append(_page_of(source, source.name, digest, page, kept))
        return found

    def _page(self, source: InputSource, picture: Picture) -> FolderPage:
        page = picture.page or 0
        kept = self._kept(picture.sha256, page)
        if kept is None:
            layer = page_of(judge_layer(picture))
            if layer is not None:
                kept = KeptPage(layer.text, "layer")
                self.store.keep(picture.sha256, page, _LAYER_READER, kept)
            else:
                kept = KeptPage(self.read(picture), "pixels")
                self.store.keep(picture.sha256, page, self.reader, kept)
        found = _page_of(source, picture.path, picture.sha256, page, kept)
        return found if source.is_file else replace(found, held=picture)

    def _kept(self, digest: str, page: int) -> KeptPage | None:
        by_layer = self.store.page(digest, page, _LAYER_READER)
        return by_layer or self.store.page(digest, page, self.reader)


def _page_of(source: InputSource, path: str, digest: str, page: int, kept: KeptPage) -> FolderPage:
    text_source = cast("TextSource", kept.source)
    return FolderPage(source, path, digest, page or None, kept.text, text_source)


def _digest(source: InputSource) -> str | None:
    """SHA-256 of a file's bytes; None of what has to be opened to tell, or cannot be."""
    if not source.is_file or not Path(source.name).is_file():
        return None
    try:
        with Path(source.name).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None  # reading it says why
