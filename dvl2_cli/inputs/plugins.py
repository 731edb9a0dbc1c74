"""Readers of further formats, from installed packages (entry points ``dvl2.inputs``).

An entry point names an object with the methods of `Reader`, and with ``suffixes`` where its
files are to be found in folders too. Plugins are asked only about files that dvl2 itself does
not know.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

from dvl2_cli.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image


class Reader(Protocol):
    """What an input plugin provides."""

    def accepts(self, name: str, head: bytes) -> bool:
        """Whether the file called ``name``, whose first 1,024 bytes are ``head``, is its."""

    def read(self, name: str, data: bytes) -> Iterator[Image]:
        """The pictures in ``data``, one for every page."""


@functools.cache
def _readers() -> tuple[tuple[str, Reader], ...]:
    readers = []
    for point in entry_points(group="dvl2.inputs"):
        try:
            readers.append((point.name, point.load()))
        except Exception as error:  # a plugin is foreign code: any failure is its own
            raise InputError(f"the input plugin {point.name!r} does not load: {error}") from error
    return tuple(readers)


@functools.cache
def plugin_suffixes() -> frozenset[str]:
    """Lower-case suffixes, dot included, of the files that plugins want from a folder.

    Raises:
        InputError: a plugin does not load.
    """
    return frozenset(
        suffix.lower() for _, reader in _readers() for suffix in getattr(reader, "suffixes", ())
    )


def read_with_plugin(name: str, data: bytes) -> Iterator[Image] | None:
    """Pages from the first plugin that accepts the file, or None if none does.

    Raises:
        InputError: a plugin fails.
    """
    for plugin, reader in _readers():
        try:
            if reader.accepts(name, data[:1024]):
                return _guarded(plugin, reader.read(name, data))
        except Exception as error:
            raise InputError(f"the input plugin {plugin!r} failed on {name}: {error}") from error
    return None


def _guarded(plugin: str, pages: Iterator[Image]) -> Iterator[Image]:
    try:
        yield from pages
    except Exception as error:
        raise InputError(f"the input plugin {plugin!r} failed: {error}") from error
