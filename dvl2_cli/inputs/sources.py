"""What the user named, spelled out: folders listed, globs and lists expanded, lazily."""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.fetch import is_data_url, is_url
from dvl2_cli.inputs.picture import Unreadable
from dvl2_cli.inputs.plugins import plugin_suffixes
from dvl2_cli.inputs.sniff import is_picture_or_pdf

STDIN = "-"
_HEAD = 64 * 1024
_GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Source:
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


def find_sources(
    arguments: Iterable[str | Path], *, recursive: bool = False, stdin: BinaryIO | None = None
) -> Iterator[Source | Unreadable]:
    """Every source that ``arguments`` name, in order; folders by name, files before subfolders.

    ``-`` is a picture or PDF on stdin, or a list of names separated by newlines or NULs.
    """
    for argument in arguments:
        name = str(argument)
        if name == STDIN:
            yield from _from_stdin(stdin or sys.stdin.buffer, recursive)
        else:
            yield from _from_name(name, recursive)


def _from_name(name: str, recursive: bool) -> Iterator[Source | Unreadable]:
    if is_url(name) or is_data_url(name):
        yield Source(name)
        return
    path = expanded(name)
    if is_folder(path):
        yield from _from_folder(Path(path), recursive)
    elif _GLOB_CHARACTERS.intersection(name) and not os.path.lexists(path):
        yield from _from_glob(path, name)
    else:
        yield Source(str(Path(path)))


def expanded(name: str) -> str:
    """``name`` with the user's folder for ``~``; as it is where there is no such user."""
    return os.path.expanduser(name)  # noqa: PTH111  pathlib raises for an unknown user


def is_folder(path: str) -> bool:
    """Whether there is such a folder; False where that cannot be found out."""
    return os.path.isdir(path)  # noqa: PTH112  pathlib raises for long names and closed folders


def _from_folder(folder: Path, recursive: bool) -> Iterator[Source | Unreadable]:
    empty = True
    for found in list_folder(folder, recursive=recursive):
        empty = False
        yield Source(found, folder) if isinstance(found, str) else found
    if empty:
        hint = None if recursive else "Add -r to look into its subfolders."
        yield Unreadable(str(folder), None, InputError(f"no pictures in folder {folder}", hint))


def list_folder(folder: Path, *, recursive: bool) -> Iterator[str | Unreadable]:
    """Paths of the pictures and PDFs in ``folder`` by name; hidden ones are left out.

    Symbolic links to folders are not followed, so that a loop cannot trap the listing.
    """
    from dvl2_cli.inputs.decode import picture_suffixes

    suffixes = picture_suffixes()
    try:
        suffixes |= plugin_suffixes()
    except InputError as error:
        yield Unreadable(str(folder), None, error)
    waiting = [str(folder)]
    while waiting:
        where = waiting.pop()
        listing = _listing(where)
        if isinstance(listing, Unreadable):
            yield listing
            continue
        folders = []
        for name, kind in listing:
            path = os.path.join(where, name)  # noqa: PTH118  Path is slow for 10,000 names
            if kind == "folder":
                folders.append(path)
            elif os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122
                yield path if kind == "file" else _no_file(path)
        if recursive:
            waiting += reversed(folders)


def _listing(folder: str) -> list[tuple[str, str]] | Unreadable:
    """Names in ``folder`` in order, hidden ones left out, and what each of them is.

    "file" is also what a reader has to explain: links that lead to folders or nowhere.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry.name, _kind(entry)) for entry in entries if not entry.name.startswith(".")
            )
    except OSError as error:
        reason = error.strerror or str(error)
        return Unreadable(folder, None, InputError(f"cannot list {folder}: {reason}"))


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    if entry.is_file(follow_symlinks=False):
        return "file"
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "file"
    return "file" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "special"


def _no_file(path: str) -> Unreadable:
    """What a listing gives for a pipe or a device: opening one could wait for ever."""
    error = InputError(f"{path} is a pipe or a device, not a file", "Name it to read from it.")
    return Unreadable(path, None, error)


def _from_glob(pattern: str, name: str) -> Iterator[Source | Unreadable]:
    matches = sorted(match for match in glob.iglob(pattern, recursive=True))  # noqa: PTH207
    files = [match for match in matches if not is_folder(match)]
    if not files:
        yield Unreadable(name, None, InputError(f"no file matches {name}"))
    for match in files:
        yield Source(match)


def _from_stdin(stream: BinaryIO, recursive: bool) -> Iterator[Source | Unreadable]:
    head = _read_some(stream, 16)
    if not head:
        yield Unreadable(STDIN, None, InputError("stdin is empty", "Pipe a picture or a list."))
    elif is_picture_or_pdf(head):
        yield Source(STDIN, head=head)
    else:
        yield from _from_list(stream, head, recursive)


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


def _from_list(stream: BinaryIO, head: bytes, recursive: bool) -> Iterator[Source | Unreadable]:
    for raw in _entries(stream, head):
        name = os.fsdecode(raw)
        if name.strip():
            yield from _from_name(name, recursive)


def _entries(stream: BinaryIO, head: bytes) -> Iterator[bytes]:
    """Entries of a list as they arrive; NULs separate them if the first read holds one."""
    read = getattr(stream, "read1", stream.read)
    while b"\0" not in head and b"\n" not in head and (chunk := read(_HEAD)):
        head += chunk
    separator = b"\0" if b"\0" in head else b"\n"
    rest = head
    while True:
        *entries, rest = rest.split(separator)
        for entry in entries:
            yield entry if separator == b"\0" else entry.removesuffix(b"\r")
        chunk = read(_HEAD)
        if not chunk:
            break
        rest += chunk
    if rest:
        yield rest.removesuffix(b"\r") if separator == b"\n" else rest
