"""Bytes from URLs, data URLs and the clipboard."""

from __future__ import annotations

import base64
import binascii
import contextlib
import http.client
import io
import ipaddress
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from typing import TYPE_CHECKING, Any

from dvl2_cli import __version__
from dvl2_cli.errors import InputError
from dvl2_cli.inputs.picture import InputLimits
from dvl2_cli.inputs.urls import Address, address_of
from dvl2_cli.urls import without_login

if TYPE_CHECKING:
    from PIL.Image import Image

_CHUNK = 64 * 1024
_PACKED = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # zlib's window bits


def is_data_url(text: str) -> bool:
    """Whether ``text`` is a data URL."""
    return text[:5].lower() == "data:"


def download(url: str, limits: InputLimits, *, offline: bool, public_only: bool = False) -> bytes:
    """The body of ``url``; one deadline holds for names, redirects, headers and body together.

    With ``public_only`` no proxy is used, and every address, also of a redirect, has to be public.

    Raises:
        InputError: offline, unreachable, an error status, or over the size or time limit.
    """
    if offline:
        raise InputError(f"{without_login(url)} needs the network, and --offline forbids it")
    exchange = _Download(address_of(url), limits, public_only)
    thread = threading.Thread(target=exchange.run, name="download", daemon=True)
    thread.start()
    thread.join(limits.download_seconds)
    if exchange.error is not None:
        raise exchange.error
    if exchange.body is None:
        exchange.abort()
        raise exchange.too_slow()
    return exchange.body


class _Download:
    """One download, in a thread that can be left where a server does not let go.

    A socket's own timeout begins anew with every byte, and a name may take for ever.
    """

    def __init__(self, address: Address, limits: InputLimits, public_only: bool) -> None:
        self.body: bytes | None = None
        self.error: InputError | None = None
        self._address = address
        self._limits = limits
        self._public_only = public_only
        self._deadline = time.monotonic() + limits.download_seconds
        self._sockets: list[socket.socket] = []

    def run(self) -> None:
        """Ask, and keep the body or what went wrong."""
        shown = self._address.shown
        try:
            self.body = self._fetched()
        except InputError as error:
            self.error = error
        except urllib.error.HTTPError as error:
            error.close()
            self.error = InputError(f"{shown} answered {error.code} {error.reason}")
        except TimeoutError:
            self.error = self.too_slow()
        except urllib.error.URLError as error:
            slow = isinstance(error.reason, TimeoutError)
            reason = InputError(f"cannot reach {shown}: {error.reason}")
            self.error = self.too_slow() if slow else reason
        except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
            self.error = InputError(f"cannot read {shown}: {error}")
        except MemoryError:
            self.error = InputError(f"there is not enough memory for {shown}")

    def abort(self) -> None:
        """Make the thread end: shut the sockets on which it waits."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def too_slow(self) -> InputError:
        """What is said at the deadline."""
        seconds = f"{self._limits.download_seconds:g}"
        return InputError(
            f"{self._address.shown} took longer than {seconds} seconds", "Download it first."
        )

    def _fetched(self) -> bytes:
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler({} if self._public_only else None),
            _Http(self._sockets, self._public_only),
            _Redirects(self._address),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            opener.add_handler(handler)
        request = urllib.request.Request(  # noqa: S310
            self._address.url, headers={"User-Agent": f"dvl2/{__version__}"}
        )
        if self._address.authorization is not None:
            request.add_unredirected_header("Authorization", self._address.authorization)
        with opener.open(request, timeout=self._limits.download_seconds) as response:
            return self._read(response)

    def _read(self, response: Any) -> bytes:
        limit = self._limits.download_bytes
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > limit:
            raise self._too_large()
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        unpacker = zlib.decompressobj(_PACKED[encoding]) if encoding in _PACKED else None
        body, received = io.BytesIO(), 0
        while chunk := response.read1(_CHUNK):
            received += len(chunk)
            body.write(unpacker.decompress(chunk, limit + 1) if unpacker else chunk)
            if max(received, body.tell()) > limit:
                raise self._too_large()
            if time.monotonic() > self._deadline:
                raise self.too_slow()
        if length.isdigit() and received < int(length):
            shown = self._address.shown
            raise InputError(f"{shown} ended after {received} of {length} bytes", "Try again.")
        return body.getvalue()

    def _too_large(self) -> InputError:
        mebibytes = self._limits.download_bytes // 2**20
        return InputError(f"{self._address.shown} is over {mebibytes} MiB", "Download it first.")


class _Http(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections of both schemes and remembers their sockets."""

    def __init__(self, sockets: list[socket.socket], public_only: bool) -> None:
        urllib.request.HTTPSHandler.__init__(self)
        self._sockets = sockets
        self._public_only = public_only

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """As the base class does."""
        return self.do_open(self._remembering(http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """As the base class does."""
        return self.do_open(self._remembering(http.client.HTTPSConnection), req)

    def _remembering(self, kind: type[http.client.HTTPConnection]) -> Any:
        sockets, public_only = self._sockets, self._public_only

        class Connection(kind):  # type: ignore[valid-type,misc]
            def connect(self) -> None:
                if public_only:
                    self._create_connection = _public_connection
                super().connect()
                sockets.append(self.sock)

        return Connection


def _public_connection(address: tuple[str, int], *rest: Any) -> socket.socket:
    """A connection to the first address of a host of which every one is public."""
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    for *_, place in found:
        ip = ipaddress.ip_address(str(place[0]).split("%")[0])
        # Every IPv6 form that wraps an IPv4 address lies outside of 2000::/3, or in 2001:0::/23.
        wrapped = ip.version == 6 and (
            ip not in ipaddress.ip_network("2000::/3") or ip in ipaddress.ip_network("2002::/16")
        )
        if not ip.is_global or ip.is_multicast or wrapped:
            raise InputError(f"{address[0]} is not a public address")
    return socket.create_connection((str(found[0][4][0]), address[1]), *rest)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects between http and https only; a login stays with its host."""

    max_redirections = 5

    def __init__(self, address: Address) -> None:
        self._address = address

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        """The request that follows, with the login where host and scheme are the same."""
        where = urllib.parse.urlsplit(newurl)
        if where.scheme not in ("http", "https"):
            shown = without_login(newurl)
            raise InputError(
                f"{self._address.shown} redirects to {shown}, which is not http or https"
            )
        follows = super().redirect_request(req, fp, code, msg, headers, newurl)
        first = urllib.parse.urlsplit(self._address.url)
        same = (where.scheme, where.netloc) == (first.scheme, first.netloc)
        if follows is not None and same and self._address.authorization is not None:
            follows.add_unredirected_header("Authorization", self._address.authorization)
        return follows


def decode_data_url(url: str, limits: InputLimits) -> bytes:
    """The bytes that a data URL holds.

    Raises:
        InputError: no comma, bad base64, or over the size limit.
    """
    header, comma, payload = url.partition(",")
    if not comma:
        raise InputError("the data URL has no comma before its data")
    if len(payload) > limits.file_bytes * 4 // 3 + 4:
        raise InputError(f"the data URL is over {limits.file_bytes // 2**20} MiB")
    unquoted = urllib.parse.unquote_to_bytes(payload)
    if not header.lower().endswith(";base64"):
        return unquoted
    try:
        return base64.b64decode(unquoted.translate(None, b" \t\r\n"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"the data URL is not valid base64 ({error})") from error


def shown_data_url(url: str) -> str:
    """A data URL short enough for a message."""
    header = url.partition(",")[0][:60]
    return f"{header},… ({len(url)} characters)"


def clipboard() -> Image | list[str]:
    """The picture on the clipboard, or the paths of the files copied there.

    Raises:
        InputError: nothing there, or no way to ask (Linux needs wl-paste or xclip).
    """
    from PIL import ImageGrab

    try:
        found = ImageGrab.grabclipboard()
    except (NotImplementedError, OSError, ValueError) as error:
        raise InputError(
            f"cannot read the clipboard ({error})", "On Linux, install wl-clipboard or xclip."
        ) from error
    if not found:
        raise InputError("the clipboard holds no picture", "Copy a picture first.")
    return found
