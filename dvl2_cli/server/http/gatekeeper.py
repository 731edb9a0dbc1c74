"""Who may ask: the Host that a client names, the web page it is on, and its key.

Host is checked because a web page elsewhere can give its own name this machine's address; Origin
because a page may send a form anywhere, though it cannot read the answer.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dvl2_cli.server.http.options import HttpOptions, is_ip
from dvl2_cli.server.http.refusals import RefusalError

# Asked before anybody can have typed a key.
_OPEN = frozenset({"/health"})


class Gatekeeper:
    """ASGI middleware that lets through what ``options`` allow."""

    def __init__(self, app: ASGIApp, options: HttpOptions) -> None:
        self._app = app
        self._options = options
        self._hosts = {"localhost", *(name.lower() for name in options.hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except RefusalError as refusal:
            await refusal.response(scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        name = _name_of(host)
        if name not in self._hosts and not is_ip(name):
            raise RefusalError(
                403, f"the host {name[:100]!r} is not this server's: --allow-host adds it", "host"
            )
        origin = headers.get("origin")
        if origin is not None and not self._is_own(origin, host):
            raise RefusalError(
                403, f"pages of {origin[:100]!r} may not ask: --allow-origin adds them", "origin"
            )
        preflight = scope["method"] == "OPTIONS"
        if self._options.keys and scope["path"] not in _OPEN and not preflight:
            self._check_key(headers)

    def _is_own(self, origin: str, host: str) -> bool:
        return origin in self._options.origins or urlsplit(origin).netloc == host

    def _check_key(self, headers: Headers) -> None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._options.keys.allow(key.strip()):
            raise RefusalError(401, "the request shows no valid key", "invalid_api_key")


def _name_of(host: str) -> str:
    """The name or address in a Host header; empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
