"""Folders and globs to the pictures in them; what nobody means is left out."""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.picture import Unreadable
from dvl2_cli.inputs.plugins import plugin_suffixes

# Thumbnails, snapshots and wastebaskets of network drives and systems. Hidden folders, among
# them .Trash-1000 and .thumbnails, are left out by their dot.
_KEPT_BY_MACHINES = frozenset(
    {
        "@eadir",
        "@recycle",
        "@recently-snapshot",
        "@sharebin",
        "@tmp",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "lost+found",
        "network trash folder",
        "__macosx",
    }
)


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is hidden or kept by a machine for itself."""
    return name.startswith(".") or name.lower() in _KEPT_BY_MACHINES


def list_folder(
    folder: Path, *, recursive: bool, exclude: Sequence[str] = ()
) -> Iterator[str | Unreadable]:
    """Paths of the pictures and PDFs in ``folder`` by name.

    Hidden files and folders, wastebaskets and thumbnails of network drives are left out.
    Symbolic links to folders are not followed, so that a loop cannot trap the listing.

    Args:
        folder: listed whatever its own name is.
        recursive: whether to look into its subfolders.
        exclude: patterns of further names, or of paths from ``folder`` on, to leave out.
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
            if exclude and is_excluded(os.path.relpath(path, folder), exclude):
                continue
            if kind == "folder":
                folders.append(path)
            elif os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122
                yield path if kind == "file" else _no_file(path)
        if recursive:
            waiting += reversed(folders)


def is_excluded(path: str, patterns: Sequence[str]) -> bool:
    """Whether the last name of ``path``, or the whole of it, matches one of ``patterns``."""
    path = unicodedata.normalize("NFC", path.replace(os.sep, "/"))
    name = path.rpartition("/")[2]
    for pattern in patterns:
        wanted = unicodedata.normalize("NFC", pattern).rstrip("/")
        if fnmatch.fnmatchcase(name, wanted) or fnmatch.fnmatchcase(path, wanted):
            return True
    return False


def _listing(folder: str) -> list[tuple[str, str]] | Unreadable:
    """Names in ``folder`` in order, hidden ones left out, and what each of them is.

    "file" is also what a reader has to explain: links that lead to folders or nowhere.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry.name, _kind(entry)) for entry in entries if not is_left_out(entry.name)
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


def matches_of(pattern: str, exclude: Sequence[str] = ()) -> list[str]:
    """The files that a glob finds, by name, in any Unicode normal form."""
    found: set[str] = set()
    for form in ("NFC", "NFD"):
        normal = unicodedata.normalize(form, pattern)
        found.update(glob.iglob(normal, recursive=True))  # noqa: PTH207
    written = set(Path(pattern).parts)
    return sorted(
        path
        for path in found
        if not os.path.isdir(path)  # noqa: PTH112
        and not any(part not in written and is_left_out(part) for part in Path(path).parts)
        and not any(is_excluded(str(part), exclude) for part in (Path(path), *Path(path).parents))
    )
