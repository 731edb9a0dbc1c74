"""A server in this process, with an engine from a script."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.request import RequestDefaults, Sampling
from dvl2_cli.server.http.app import application
from dvl2_cli.server.http.options import HttpOptions, ListenAddress
from dvl2_cli.server.http.service import Service
from tests.fakes import FakeEngine

OPTIONS = HttpOptions(ListenAddress("127.0.0.1", 8000))
Serve = Callable[..., TestClient]


def defaults(max_tokens: int) -> RequestDefaults:
    return RequestDefaults(Sampling(max_new_tokens=max_tokens))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A client of a server with an engine (None while it is loaded) and options."""
    opened: list[tuple[TestClient, Service]] = []

    def start(engine: Engine | None = None, *, loaded: bool = True, **changes: Any) -> TestClient:
        service = Service(dataclasses.replace(OPTIONS, **changes), defaults)
        if loaded:
            service.open(engine or FakeEngine())
        client = TestClient(application(service), "http://127.0.0.1:8000")
        opened.append((client, service))
        return client

    yield start
    for client, service in opened:
        client.close()
        service.close()


def data_url(colour: str = "red", size: tuple[int, int] = (8, 6)) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(colour, size)).decode()}"


def png(colour: str = "red", size: tuple[int, int] = (8, 6)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def image_part(colour: str = "red", **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(colour), **more}}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def asked(*content: Any, **more: Any) -> dict[str, Any]:
    """The body of a question."""
    said = content[0] if len(content) == 1 and isinstance(content[0], str) else list(content)
    return {"messages": [{"role": "user", "content": said}], **more}


def events(text: str) -> list[Any]:
    """The JSON of each event of a stream; its end as the text ``[DONE]``."""
    found = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data:")]
    return [item if item == "[DONE]" else json.loads(item) for item in found]
