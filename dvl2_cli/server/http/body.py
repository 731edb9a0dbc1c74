"""Bodies of requests: so large at most, and so slow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dvl2_cli.server.http.options import HttpLimits
from dvl2_cli.server.http.refusals import RefusalError

_Body = TypeVar("_Body", bound="JsonBody")


class JsonBody(BaseModel):
    """Base of JSON bodies: every member has its type, and none is unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def stop_strings(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """What ends an answer: a text, several, or none."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


class BodyLimit:
    """ASGI middleware that ends requests whose body is too large or comes too slowly."""

    def __init__(self, app: ASGIApp, limits: HttpLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that is watched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        left, complete = self._limits.body_bytes, False
        if length.isdigit() and int(length) > left:
            await self._too_large().response(scope["path"])(scope, receive, send)
            return

        async def limited() -> Message:
            nonlocal left, complete
            if complete:
                return await receive()  # the end of the connection
            try:
                async with asyncio.timeout(self._limits.silent_seconds):
                    message = await receive()
            except TimeoutError as error:
                raise RefusalError(408, "the request's body came too slowly", "too_slow") from error
            left -= len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if left < 0:
                raise self._too_large()
            return message

        await self._app(scope, limited, send)

    def _too_large(self) -> RefusalError:
        most = self._limits.body_bytes / 2**20
        return RefusalError(413, f"the request is over {most:g} MiB", "too_large")


async def read_json(request: HttpRequest, kind: type[_Body]) -> _Body:
    """The body as ``kind``.

    Raises:
        RefusalError: it is no JSON, or a member is missing, unknown or not what it takes.
    """
    data = await request.body()
    return await asyncio.to_thread(parsed, data, kind)


def parsed(data: bytes, kind: type[_Body]) -> _Body:
    """``data`` as ``kind``; see ``read_json``."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise first_problem(error) from error


def first_problem(error: ValidationError) -> RefusalError:
    """The refusal of a body that ``error`` found fault with."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    # Where a member may be of several types, the one that came furthest was meant.
    best = max(found, key=lambda item: len(item["loc"]))
    return _wrong(best["type"], best["loc"], best["msg"])


def _wrong(kind: str, place: tuple[int | str, ...], words: str) -> RefusalError:
    # Pydantic names the type that it tried as well; those of texts and lists help nobody.
    names = [str(item) for item in place if item != "str" and "[" not in str(item)]
    param = ".".join(names) or None
    if kind == "json_invalid":
        return RefusalError(
            400, f"the body is not JSON: {words.partition(': ')[2]}", "invalid_json"
        )
    if kind == "extra_forbidden":
        return RefusalError(400, f"{param} is not supported", "unsupported", param)
    where = f"{param}: " if param else "the body: "
    return RefusalError(400, f"{where}{words[:1].lower()}{words[1:]}", "invalid_value", param)
