"""The HTTP client that huggingface_hub uses here: answers of its API are bounded.

huggingface_hub reads an API answer whole, whatever its size and however long it takes. A hub that
sends gigabytes, a compressed bomb or a byte a second would fill the memory or never end. Contents
of files are bounded where they are written (see ``download``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2

# A listing of the largest model has some ten kilobytes.
MAX_ANSWER_BYTES = 32 * 2**20
MAX_ANSWER_SECONDS = 120.0
_CONNECT_SECONDS = 30.0
_SILENT_SECONDS = 60.0


class UnboundedAnswerError(ValueError):
    """An answer that is larger or slower than any listing is."""


def use_bounded_client() -> None:
    """Let huggingface_hub's next sessions bound their answers."""
    from huggingface_hub import set_client_factory

    set_client_factory(_client)


def _client() -> httpx2.Client:
    from huggingface_hub.utils._http import hf_request_event_hook

    return httpx2.Client(
        event_hooks={"request": [hf_request_event_hook], "response": [_bound]},
        follow_redirects=True,
        headers={"Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(_SILENT_SECONDS, connect=_CONNECT_SECONDS),
    )


def _bound(response: httpx2.Response) -> None:
    if "/api/" not in response.request.url.path:
        return
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise UnboundedAnswerError("its answer is compressed, which was not asked for")
    stream = response.stream
    if isinstance(stream, httpx2.SyncByteStream):
        response.stream = _BoundedBody(stream)


class _BoundedBody(httpx2.SyncByteStream):
    """A body that ends in an error beyond the limits."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        count, deadline = 0, time.monotonic() + MAX_ANSWER_SECONDS
        for piece in self._stream:
            count += len(piece)
            if count > MAX_ANSWER_BYTES:
                raise UnboundedAnswerError(f"its answer has more than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                raise UnboundedAnswerError(f"its answer takes over {MAX_ANSWER_SECONDS:g} seconds")
            yield piece

    def close(self) -> None:
        self._stream.close()
