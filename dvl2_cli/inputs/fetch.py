"""Bytes from URLs, data URLs and the clipboard."""

from __future__ import annotations

import base64
import binascii
import io
import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from dvl2_cli import __version__
from dvl2_cli.errors import InputError
from dvl2_cli.inputs.picture import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

_CHUNK = 64 * 1024


class _HttpRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects between http and https only; never to files or other schemes."""

    max_redirections = 5

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise InputError(f"{req.full_url} redirects to {newurl}, which is not http or https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_url(text: str) -> bool:
    """Whether ``text`` is an http or https URL."""
    return text.lower().startswith(("http://", "https://"))


def is_data_url(text: str) -> bool:
    """Whether ``text`` is a data URL."""
    return text[:5].lower() == "data:"


def download(url: str, limits: Limits, *, offline: bool) -> bytes:
    """The body of ``url``.

    Raises:
        InputError: offline, unreachable, an error status, or over the size or time limit.
    """
    if offline:
        raise InputError(f"{url} needs the network, and --offline forbids it")
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        _HttpRedirects,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
    ):
        opener.add_handler(handler())
    try:
        request = urllib.request.Request(url, headers={"User-Agent": f"dvl2/{__version__}"})  # noqa: S310
        with opener.open(request, timeout=limits.download_seconds) as response:
            return _body(response, url, limits)
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(f"{url} answered {error.code} {error.reason}") from error
    except TimeoutError as error:
        raise _too_slow(url, limits) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _too_slow(url, limits) from error
        raise InputError(f"cannot reach {url}: {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise InputError(f"cannot read {url}: {error}") from error


def _body(response: Any, url: str, limits: Limits) -> bytes:
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limits.download_bytes:
        raise _too_large(url, limits)
    deadline = time.monotonic() + limits.download_seconds
    body = io.BytesIO()
    while chunk := response.read1(_CHUNK):
        body.write(chunk)
        if body.tell() > limits.download_bytes:
            raise _too_large(url, limits)
        if time.monotonic() > deadline:
            raise _too_slow(url, limits)
    if length.isdigit() and body.tell() < int(length):
        raise InputError(f"{url} ended after {body.tell()} of {length} bytes", "Try again.")
    return body.getvalue()


def _too_large(url: str, limits: Limits) -> InputError:
    return InputError(f"{url} is over {limits.download_bytes // 2**20} MiB", "Download it first.")


def _too_slow(url: str, limits: Limits) -> InputError:
    return InputError(
        f"{url} took longer than {limits.download_seconds:g} seconds", "Download it first."
    )


def decode_data_url(url: str, limits: Limits) -> bytes:
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
