"""Lists of names on stdin: what they hold, how they are encoded, one entry at a time."""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.names import is_file_uri
from dvl2_cli.inputs.sniff import foreign_kind
from dvl2_cli.texts import decode_text, utf16_of

# A name may begin with a bracket.
_JSON = re.compile(rb'[\[{]\s*(?:["{\[\]}\d-]|true|false|null|$)')
_HEAD = 64 * 1024
_TEXT_CONTROLS = b"\t\n\r\0"


def check_list(head: bytes) -> None:
    """Refuse what is no list of names, before each of its lines becomes a missing file.

    Args:
        head: the first bytes of stdin.

    Raises:
        InputError: a web page, JSON, an archive, or other data.
    """
    kind = foreign_kind(head)
    if kind is None:
        kind = _data_kind(head) if utf16_of(head) is None else None
    if kind is not None:
        raise InputError(
            f"stdin holds {kind}, neither a picture nor a list of names",
            "Pipe a PNG, a JPEG, a PDF, or names separated by newlines.",
        )


def _data_kind(head: bytes) -> str | None:
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    name = os.fsdecode(text.replace(b"\0", b"\n").partition(b"\n")[0].rstrip(b"\r"))
    if os.path.lexists(name):
        return None
    if _JSON.match(text):
        return "JSON"
    if text.startswith(b"<"):
        return "a web page or XML"
    # `find -print0` writes no empty name, and names have no control characters.
    if b"\0\0" in head or any(byte < 32 and byte not in _TEXT_CONTROLS for byte in head):
        return "data of an unknown kind"
    return None


def names_on(stream: BinaryIO, head: bytes) -> Iterator[str]:
    """The names of a list as they arrive; of a list of URIs (text/uri-list) without comments.

    Args:
        stream: the rest of the list.
        head: what was read of it already.

    Raises:
        InputError: text in UTF-16 that is cut or damaged.
    """
    codec = utf16_of(head)
    if codec is not None:
        try:
            text = decode_text(head + stream.read())
        except UnicodeDecodeError as error:
            raise InputError(f"the list on stdin is damaged {codec.upper()} text") from error
        stream, head = io.BytesIO(), os.fsencode(text)
    comments: list[str] = []
    for raw in _entries(stream, head.removeprefix(codecs.BOM_UTF8)):
        name = os.fsdecode(raw)
        if name.startswith("#") and not os.path.lexists(name):
            comments.append(name)
        elif name.strip():
            if not is_file_uri(name) and "://" not in name:
                yield from comments  # no list of URIs: they are names
            comments.clear()
            yield name
    yield from comments


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
