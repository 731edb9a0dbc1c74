"""Names as people, file managers and other systems write them, to paths that exist."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from dvl2_cli.errors import InputError

_FORMS = ("NFC", "NFD")


def is_file_uri(text: str) -> bool:
    """Whether ``text`` is a ``file:`` URI."""
    return text[:5].lower() == "file:"


def path_of_uri(uri: str) -> str:
    """The path of a ``file:`` URI, as file managers and browsers write it.

    Raises:
        InputError: it names another machine or no path.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InputError(f"{uri} is not a file: address ({error})") from error
    if parts.netloc.lower() not in ("", "localhost", "127.0.0.1"):
        raise InputError(
            f"{uri} names a file on {parts.netloc}", "Give a path on this machine instead."
        )
    # In such an address "?" and "#" are written %3F and %23; as they stand they are a name's.
    encoded = os.fsencode(uri[5:])
    if encoded.startswith(b"//"):
        encoded = encoded[2 + len(os.fsencode(parts.netloc)) :]
    path = os.fsdecode(unquote_to_bytes(encoded))
    if not path:
        raise InputError(f"{uri} names no file")
    is_drive = os.name == "nt" and path[:1] == "/" and path[2:3] == ":"
    return path[1:] if is_drive else path


def as_on_disk(path: str) -> str:
    """``path``, in the Unicode normal form in which the file system holds it.

    Macs and archives write é as two code points, keyboards as one; the names look the same.
    A path that exists in no form comes back as it is.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    for form in _FORMS:
        other = unicodedata.normalize(form, path)  # type: ignore[arg-type]
        if os.path.lexists(other):
            return other
    return _found_by_parts(path) or path


def _found_by_parts(path: str) -> str | None:
    """A path whose folders are in different forms."""
    found, *parts = Path(path).parts
    if not Path(path).anchor:
        found, parts = "", [found, *parts]
    for part in parts:
        step = os.path.join(found, part)  # noqa: PTH118
        if not os.path.lexists(step):
            match = _same_name(found or os.curdir, part)
            if match is None:
                return None
            step = os.path.join(found, match)  # noqa: PTH118
        found = step
    return found


def _same_name(folder: str, name: str) -> str | None:
    wanted = unicodedata.normalize("NFC", name)
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return None
    return next((one for one in names if unicodedata.normalize("NFC", one) == wanted), None)
