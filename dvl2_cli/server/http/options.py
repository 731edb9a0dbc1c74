"""Where the HTTP server listens, whom it answers, and how much a request may take."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from dvl2_cli.errors import UsageError
from dvl2_cli.inputs.picture import InputLimits
from dvl2_cli.plain_file import read_plain_file

_LEAST_KEY_LENGTH = 8
_LARGEST_KEY_FILE = 2**20


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a request may take.

    Attributes:
        body_bytes: of a request.
        images: in one conversation.
        pixels: of one picture, checked before it is decoded.
        pages: of one document.
        queue: requests that are answered or wait; one more is refused with 429.
        silent_seconds: a client that sends or takes nothing for so long is dropped.
        drain_seconds: until answers that are being written have to end when the server stops.
    """

    body_bytes: int = 64 * 2**20
    images: int = 32
    pixels: int = 64_000_000
    pages: int = 200
    queue: int = 64
    silent_seconds: float = 30.0
    drain_seconds: float = 60.0

    @property
    def inputs(self) -> InputLimits:
        """The same for whoever reads pictures."""
        return InputLimits(
            file_bytes=self.body_bytes,
            pixels=self.pixels,
            pages=self.pages,
            download_bytes=self.body_bytes,
            download_seconds=self.silent_seconds,
        )


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the server listens."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host == "localhost" or (is_ip(self.host) and _ip(self.host).is_loopback)

    @property
    def url(self) -> str:
        """As a client writes it."""
        return (
            f"http://[{self.host}]:{self.port}"
            if ":" in self.host
            else (f"http://{self.host}:{self.port}")
        )


class ApiKeys:
    """The keys that clients may show; only their hashes are kept."""

    def __init__(self, keys: list[str]) -> None:
        self._hashes = [_hashed(key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def allow(self, key: str) -> bool:
        """Whether ``key`` is one of them; takes as long for every wrong one."""
        shown = _hashed(key)
        return sum(hmac.compare_digest(shown, known) for known in self._hashes) > 0


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How the server behaves.

    ``hosts`` are names, beside localhost and plain addresses, under which clients may know it;
    ``origins`` are the web pages (``https://example.org``) whose scripts may ask it.
    """

    address: ListenAddress
    keys: ApiKeys = field(default_factory=lambda: ApiKeys([]))
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    allow_urls: bool = False
    limits: HttpLimits = field(default_factory=HttpLimits)

    def check(self) -> None:
        """Refuse to be open to others without a key.

        Raises:
            UsageError: so worded.
        """
        if not self.address.is_loopback and not self.keys:
            raise UsageError(
                f"--http {self.address.host}:{self.address.port} lets other machines ask",
                "Name a file of keys with --api-key-file, or listen on 127.0.0.1.",
            )


def parse_address(text: str) -> ListenAddress:
    """The address that ``[HOST:]PORT`` names; without a host it is 127.0.0.1.

    Raises:
        UsageError: it is no such address.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1
    if not 0 <= number < 2**16 or (colon and not host) or "/" in host:
        raise UsageError(f"--http {text}: not [HOST:]PORT", "Write it as 8000 or 127.0.0.1:8000.")
    return ListenAddress(host or "127.0.0.1", number)


def read_keys(path: Path) -> ApiKeys:
    """The keys in a file, one a line; ``#`` starts a comment.

    Raises:
        UsageError: the file cannot be read, holds no key, or a key is too short to be one.
    """
    try:
        text = read_plain_file(path, _LARGEST_KEY_FILE).decode()
    except OSError as error:
        raise UsageError(f"cannot read the keys in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the keys in {path} are not UTF-8 text") from error
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise UsageError(f"{path} holds no key", "Write one key a line.")
    if any(len(key) < _LEAST_KEY_LENGTH for key in keys):
        raise UsageError(f"a key in {path} is under {_LEAST_KEY_LENGTH} characters")
    return ApiKeys(keys)


def is_ip(host: str) -> bool:
    """Whether ``host`` is an address and not a name."""
    try:
        _ip(host)
    except ValueError:
        return False
    return True


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(host.split("%")[0])


def _hashed(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
