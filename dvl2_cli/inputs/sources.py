"""What the user named, spelled out: folders listed, globs and lists expanded, lazily."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.fetch import is_data_url
from dvl2_cli.inputs.folders import list_folder, matches_of
from dvl2_cli.inputs.lists import check_list, names_on
from dvl2_cli.inputs.names import as_on_disk, is_file_uri, path_of_uri
from dvl2_cli.inputs.picture import Unreadable
from dvl2_cli.inputs.sniff import is_picture_or_pdf
from dvl2_cli.inputs.urls import is_url

STDIN = "-"
_HEAD = 64 * 1024
_GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class InputSource:
    """One file, URL or stream to read.

    ``name`` is the path or URL, "-" for bytes from stdin. ``root`` is the folder argument
    through which a listing found the file, for keeping its tree in the output.
    ``head`` holds bytes of stdin that were read to see what they are.
    """

    name: str
    root: Path | None = None
    head: bytes | None = None

    @property
    def is_file(self) -> bool:
        """Whether ``name`` is a path."""
        return self.head is None and not is_url(self.name) and not is_data_url(self.name)


@dataclass(frozen=True, slots=True)
class Finding:
    """How folders and globs are gone through.

    ``recursive`` looks into subfolders; ``exclude`` are patterns of names, or of paths from
    the folder on, that are left out.
    """

    recursive: bool = False
    exclude: Sequence[str] = ()


def find_sources(
    arguments: Iterable[str | Path],
    *,
    recursive: bool = False,
    exclude: Sequence[str] = (),
    stdin: BinaryIO | None = None,
) -> Iterator[InputSource | Unreadable]:
    """Every source that ``arguments`` name, in order; folders by name, files before subfolders.

    ``-`` is a picture or PDF on stdin, or a list of names separated by newlines or NULs.
    """
    finding = Finding(recursive, exclude)
    for argument in arguments:
        name = str(argument)
        if name == STDIN:
            yield from _from_stdin(stdin or sys.stdin.buffer, finding)
        else:
            yield from _from_name(name, finding)


def _from_name(name: str, finding: Finding) -> Iterator[InputSource | Unreadable]:
    if is_url(name) or is_data_url(name):
        yield InputSource(name)
        return
    try:
        path = as_on_disk(path_of_uri(name) if is_file_uri(name) else expanded(name))
    except InputError as error:
        yield Unreadable(name, None, error)
        return
    if is_folder(path):
        yield from _from_folder(Path(path), finding)
    elif _GLOB_CHARACTERS.intersection(path) and not os.path.lexists(path):
        matches = matches_of(path, finding.exclude)
        if not matches:
            yield Unreadable(name, None, InputError(f"no file matches {name}"))
        yield from map(InputSource, matches)
    else:
        yield InputSource(str(Path(path)))


def expanded(name: str) -> str:
    """``name`` with the user's folder for ``~``; as it is where there is no such user."""
    return os.path.expanduser(name)  # noqa: PTH111  pathlib raises for an unknown user


def is_folder(path: str) -> bool:
    """Whether there is such a folder; False where that cannot be found out."""
    return os.path.isdir(path)  # noqa: PTH112  pathlib raises for long names and closed folders


def _from_folder(folder: Path, finding: Finding) -> Iterator[InputSource | Unreadable]:
    empty = True
    for found in list_folder(folder, recursive=finding.recursive, exclude=finding.exclude):
        empty = False
        yield InputSource(found, folder) if isinstance(found, str) else found
    if empty:
        hint = None if finding.recursive else "Add -r to look into its subfolders."
        yield Unreadable(str(folder), None, InputError(f"no pictures in folder {folder}", hint))


def _from_stdin(stream: BinaryIO, finding: Finding) -> Iterator[InputSource | Unreadable]:
    head = _read_some(stream, 16)
    if not head:
        yield Unreadable(STDIN, None, InputError("stdin is empty", "Pipe a picture or a list."))
        return
    if is_picture_or_pdf(head):
        yield InputSource(STDIN, head=head)
        return
    try:
        check_list(head)
        for name in names_on(stream, head):
            yield from _from_name(name, finding)
    except InputError as error:
        yield Unreadable(STDIN, None, error)


def _read_some(stream: BinaryIO, least: int) -> bytes:
    """At least ``least`` bytes unless the stream ends first, without waiting for more."""
    read = getattr(stream, "read1", stream.read)
    head = b""
    while len(head) < least:
        chunk = read(_HEAD)
        if not chunk:
            break
        head += chunk
    return head
