"""What a client is told instead of an answer: one JSON error, in OpenAI's form."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from dvl2_cli.errors import (
    ContextOverflowError,
    Dvl2Error,
    InputError,
    ModelError,
    NoUsableOutputError,
    OutOfMemoryError,
    QueueFullError,
    UsageError,
)

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class RefusalError(Exception):
    """A request that gets no answer.

    Args:
        status: of HTTP.
        message: what is wrong; one line.
        code: one word for programs.
        param: the member of the request that is at fault.
        retry_after: seconds until asking again makes sense.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """What the status asks for beside the body."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return headers

    def as_json(self) -> dict[str, Any]:
        """The body, in OpenAI's form."""
        kind = _KINDS.get(self.status)
        kind = kind or ("server_error" if self.status >= 500 else "invalid_request_error")
        error = {
            "message": " ".join(self.message.split()),
            "type": kind,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}

    def body(self, path: str) -> dict[str, Any]:
        """The body for a request for ``path``; Ollama's clients expect a text alone."""
        body = self.as_json()
        return {"error": body["error"]["message"]} if path.startswith("/api/") else body

    def response(self, path: str) -> Response:
        """The answer to a request for ``path``."""
        return JSONResponse(self.body(path), self.status, self.headers)


def invalid(message: str, param: str) -> RefusalError:
    """The refusal of a member that is not what it has to be."""
    return RefusalError(400, message, "invalid_value", param)


def unsupported(name: str, hint: str = "") -> RefusalError:
    """The refusal of a member that dvl2 does not support."""
    return RefusalError(400, f"{name} is not supported{hint}", "unsupported", name)


def refusal_of(error: BaseException) -> RefusalError:
    """What a client is told of ``error``."""
    if isinstance(error, RefusalError):
        return error
    if isinstance(error, ContextOverflowError):
        return RefusalError(400, error.message, "context_length_exceeded", "messages")
    if isinstance(error, InputError | UsageError):
        return RefusalError(400, error.message, error.code)
    if isinstance(error, QueueFullError):
        return RefusalError(429, error.message, error.code, retry_after=5)
    if isinstance(error, OutOfMemoryError):
        return RefusalError(503, error.message, error.code, retry_after=10)
    if isinstance(error, NoUsableOutputError | ModelError | Dvl2Error):
        return RefusalError(500, error.message, error.code)
    return RefusalError(500, f"the server failed: {type(error).__name__}", "failed")


async def answer_status(request: HttpRequest, error: Exception) -> Response:
    """The answer to what no handler took: starlette's 404 and 405, a broken form."""
    assert isinstance(error, HTTPException)  # noqa: S101
    path, status = request.url.path, error.status_code
    words = {404: f"there is nothing at {path}", 405: f"{path} does not take {request.method}"}
    refusal = RefusalError(status, words.get(status, str(error.detail)), "not_found")
    return refusal.response(path)
