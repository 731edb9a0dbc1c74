"""Streams of JSON, one value a line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from dvl2_cli.results.lines import json_line
from dvl2_cli.server.http.refusals import refusal_of


class JsonLines(StreamingResponse):
    """Answers with ``rows``; a client that takes nothing for ``seconds`` is dropped.

    What goes wrong after the status is sent is a last line, an error in the form of ``path``.
    """

    def __init__(self, seconds: float, path: str, rows: AsyncGenerator[dict[str, Any]]) -> None:
        self._lines = _lines(rows, path)
        super().__init__(self._lines, media_type="application/x-ndjson")
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines."""

        async def in_time(message: Any) -> None:
            async with asyncio.timeout(self._seconds):
                await send(message)

        async with aclosing(self._lines):  # whoever leaves cancels the answer
            await super().__call__(scope, receive, in_time)


async def _lines(rows: AsyncGenerator[dict[str, Any]], path: str) -> AsyncGenerator[str]:
    try:
        async with aclosing(rows):
            async for row in rows:
                yield json_line(row) + "\n"
    except Exception as error:  # the status is sent already: the stream has to say it
        yield json_line(refusal_of(error).body(path)) + "\n"
