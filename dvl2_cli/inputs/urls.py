"""URLs as people write them: with a login, with letters beyond ASCII."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

from dvl2_cli.errors import InputError
from dvl2_cli.urls import without_login

# What may stand in a path and a query as it is, escapes included.
_SAFE = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to ask.

    ``url`` is in ASCII and without a login; ``shown`` is as it was written, without the
    login; ``authorization`` is the header that carries it.
    """

    url: str
    shown: str
    authorization: str | None = None


def is_url(text: str) -> bool:
    """Whether ``text`` is an http or https URL."""
    return text.lower().startswith(("http://", "https://"))


def address_of(url: str) -> Address:
    """What to ask for, and with which login.

    Raises:
        InputError: no host, a bad port, or a host that is no name.
    """
    shown = without_login(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if not host:
            raise InputError(f"{shown} names no host")
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
    except ValueError as error:
        raise InputError(f"{shown} is not a URL: its host or port is not valid") from error
    if ":" in host:
        host = f"[{host}]"
    netloc = host if port is None else f"{host}:{port}"
    path, query = quote(parts.path, safe=_SAFE), quote(parts.query, safe=_SAFE + "?")
    login = parts.netloc.rpartition("@")[0]
    authorization = None
    if login:
        # A colon within the name is written %3A, so the first one parts the two.
        plain = unquote_to_bytes(login)
        authorization = f"Basic {base64.b64encode(plain).decode()}"
    return Address(urlunsplit((parts.scheme, netloc, path, query, "")), shown, authorization)
