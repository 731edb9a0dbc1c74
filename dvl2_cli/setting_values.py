"""What the text of a setting or of its option means; no number and no word is taken unchecked."""

from __future__ import annotations

import re
import urllib.parse
from typing import Literal

from dvl2_cli.errors import UsageError
from dvl2_cli.sizes import parse_size

MAX_TILES = 9
# Smaller shows nothing, larger nothing more.
MIN_ZOOM, MAX_ZOOM = 0.1, 10.0
DEVICES = ("auto", "cpu", "cuda", "mps")
TILES_FORM = f"Give a whole number of tiles, 0 to {MAX_TILES}, or auto."
ZOOM_FORM = f"Give a number from {MIN_ZOOM:g} to {MAX_ZOOM:g}, or auto; 1 is as the picture is."
DEVICE_FORM = f"Use one of {', '.join(DEVICES)}, or cuda:N."
SIZE_FORM = "Write a number and a unit, as 8GB or 7.5GiB."
URL_FORM = "Write it as http://127.0.0.1:8000"
_DEVICE = re.compile(r"auto|(?:cpu|cuda|mps)(?::\d+)?")


def tiles_of(text: str) -> int | Literal["auto"]:
    """How many local tiles an image may have.

    Raises:
        ValueError: neither such a number nor auto.
    """
    if text == "auto":
        return "auto"
    if not (text.isdecimal() and text.isascii() and int(text) <= MAX_TILES):
        raise ValueError(text)
    return int(text)


def zoom_of(text: str) -> float | Literal["auto"]:
    """How many times as large images are shown.

    Raises:
        ValueError: neither such a number nor auto.
    """
    if text == "auto":
        return "auto"
    zoom = float(text)
    if not MIN_ZOOM <= zoom <= MAX_ZOOM:  # NaN is in no range
        raise ValueError(text)
    return zoom


def device_of(text: str) -> str:
    """The name of a device, which may not be there.

    Raises:
        ValueError: it is none.
    """
    if not _DEVICE.fullmatch(text):
        raise ValueError(text)
    return text


def size_of(text: str) -> int:
    """Bytes.

    Raises:
        ValueError: not a positive size.
    """
    try:
        return parse_size(text)
    except UsageError as error:
        raise ValueError(text) from error


def url_of(text: str) -> str:
    """The address of a server.

    Raises:
        ValueError: not an http(s) URL.
    """
    parts = urllib.parse.urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(text)
    return text
