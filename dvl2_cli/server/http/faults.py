"""What handlers raise, as one JSON error each; the server goes on."""

from __future__ import annotations

import sys

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dvl2_cli.errors import Dvl2Error
from dvl2_cli.server.http.metrics import Metrics
from dvl2_cli.server.http.refusals import RefusalError, refusal_of


class Faults:
    """ASGI middleware around all others that turns exceptions into answers, and counts them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                if message["status"] >= 400:
                    self._metrics.refused(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # the server outlives a fault in one request
            refusal = _refusal(scope, error)
            if not begun:
                await refusal.response(scope["path"])(scope, receive, watched)


def _refusal(scope: Scope, error: Exception) -> RefusalError:
    # A client that takes nothing any more is no fault of the server.
    if not isinstance(error, RefusalError | Dvl2Error | TimeoutError | ClientDisconnect):
        print(f"dvl2: {scope['path']}: {type(error).__name__}: {error}", file=sys.stderr)
    return refusal_of(error)
