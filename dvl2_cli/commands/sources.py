"""Telling one input from many, which decides between pretty output and JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvl2_cli.inputs.load import Reading
    from dvl2_cli.inputs.picture import Picture, Unreadable
    from dvl2_cli.inputs.sources import InputSource
    from dvl2_cli.ui.progress import Progress


@dataclass(frozen=True, slots=True)
class InputOptions:
    """What the command line says about finding and reading inputs."""

    pages: str | None = None
    dpi: int = 200
    recursive: bool = False
    exclude: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)
    text_layers: bool = False

    def reading(self, *, offline: bool) -> Reading:
        """How pictures are read.

        Raises:
            UsageError: ``pages`` is no list of pages.
        """
        from dvl2_cli.inputs.load import Reading
        from dvl2_cli.inputs.pages import PageRanges

        chosen = PageRanges.parse(self.pages) if self.pages else None
        return Reading(
            chosen,
            self.dpi,
            offline=offline,
            password=self.password,
            text_layers=self.text_layers,
        )

    def inputs(self, arguments: Sequence[str], *, offline: bool) -> Inputs:
        """The pictures that ``arguments`` name.

        Raises:
            UsageError: ``pages`` is no list of pages.
        """
        reading = self.reading(offline=offline)
        return Inputs(arguments, reading, recursive=self.recursive, exclude=self.exclude)


class Inputs:
    """The pictures that arguments name, read one at a time.

    ``several`` is known before the first is read: more than one argument, or one that
    stands for a list (a folder, a glob, names on stdin).
    """

    def __init__(
        self,
        arguments: Sequence[str],
        reading: Reading,
        *,
        recursive: bool = False,
        exclude: Sequence[str] = (),
    ) -> None:
        from dvl2_cli.inputs.sources import find_sources

        self._reading = reading
        self._arguments, self._recursive, self._exclude = arguments, recursive, exclude
        found = find_sources(arguments, recursive=recursive, exclude=exclude)
        # Only stdin has to be looked at: it is a picture or a list of names.
        head = list(_first(found)) if "-" in arguments else []
        self._sources: Iterator[InputSource | Unreadable] = chain(head, found)
        self.several = len(arguments) > 1 or stands_for_many(arguments[0], head)

    def limit(self, memory_bytes: int | None) -> None:
        """Let reading a picture take so much memory at most."""
        self._reading = self._reading.within(memory_bytes)

    def shown_by(self, progress: Progress) -> Iterator[Picture | Unreadable]:
        """The pictures, whose number ``progress`` learns first unless they come by stdin."""
        self.expected_by(progress)
        return iter(self)

    def expected_by(self, progress: Progress) -> None:
        """Let ``progress`` know how many sources there are, as far as that is known."""
        if progress.shown and "-" not in self._arguments:
            listed = list(self._sources)
            progress.expect(len(listed))
            self._sources = iter(listed)

    def __iter__(self) -> Iterator[Picture | Unreadable]:
        for source in self.sources():
            yield from self.read(source)

    def sources(self) -> Iterator[InputSource | Unreadable]:
        """What is to be read, before it is read; can be gone through once."""
        return self._sources

    def files(self) -> Iterator[str]:
        """The files that are named, before any is read.

        Names that come by stdin are left out: they can be read once, and may come slowly.
        """
        from dvl2_cli.inputs.picture import Unreadable
        from dvl2_cli.inputs.sources import find_sources

        named = [argument for argument in self._arguments if argument != "-"]
        for found in find_sources(named, recursive=self._recursive, exclude=self._exclude):
            if not isinstance(found, Unreadable) and found.is_file:
                yield found.name

    def read(self, source: InputSource | Unreadable) -> Iterator[Picture | Unreadable]:
        """The pages of one source."""
        from dvl2_cli.inputs.load import read_pictures
        from dvl2_cli.inputs.picture import Unreadable

        if isinstance(source, Unreadable):
            return iter((source,))
        return read_pictures(source, self._reading)


def _first(found: Iterator[InputSource | Unreadable]) -> Iterator[InputSource | Unreadable]:
    for source in found:
        yield source
        return


def stands_for_many(argument: str, head: Sequence[InputSource | Unreadable] = ()) -> bool:
    """Whether one argument names a list: a folder, a glob, or names on stdin.

    ``head`` is the first that was found on stdin.
    """
    import os

    from dvl2_cli.inputs.sources import expanded, is_folder

    if argument == "-":
        return not (head and getattr(head[0], "head", None) is not None)
    path = expanded(argument)
    if is_folder(path):
        return True
    return any(char in argument for char in "*?[") and not os.path.lexists(path)
