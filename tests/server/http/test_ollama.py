from __future__ import annotations

import asyncio
import base64
import http.client
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import ollama
import pytest
from starlette.requests import ClientDisconnect

from dvl2_cli import __version__
from dvl2_cli.engine.events import Event
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import ContextOverflowError, ModelError
from dvl2_cli.server.http.ndjson import JsonLines
from dvl2_cli.server.http.options import ApiKeys, HttpLimits
from tests.fakes import FakeEngine
from tests.server.http.conftest import Serve, data_url, png
from tests.server.http.test_server import Blocked, running

CHAT, GENERATE = "/api/chat", "/api/generate"
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}


def picture(colour: str = "red", size: tuple[int, int] = (8, 6)) -> str:
    return base64.b64encode(png(colour, size)).decode()


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": "what?"}] if not messages else list(messages)
    return {"model": "fake", "messages": turns, **more}


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_what_there_is(serve: Serve) -> None:
    client = serve()
    assert client.get("/api/version").json() == {"version": __version__}
    (entry,) = client.get("/api/tags").json()["models"]
    assert (entry["name"], entry["model"]) == ("fake:latest", "fake:latest")
    assert entry["details"]["quantization_level"] == "none"
    assert serve(loaded=False).get("/api/tags").status_code == 503


@pytest.mark.parametrize("name", ["fake", "fake:latest"])
def test_a_chat_is_a_stream_unless_told_otherwise(serve: Serve, name: str) -> None:
    client = serve()
    response = client.post(CHAT, json=chat(model=name))
    assert response.headers["content-type"] == "application/x-ndjson"
    *pieces, last = lines(response.text)
    assert "".join(piece["message"]["content"] for piece in pieces) == "a red car"
    assert len(pieces) > 1
    assert not any(piece["done"] for piece in pieces)
    assert last["message"] == {"role": "assistant", "content": ""}
    assert (last["done"], last["done_reason"], last["model"]) == (True, "stop", name)
    assert (last["prompt_eval_count"], last["eval_count"]) == (1, 9)
    assert (last["prompt_eval_duration"], last["eval_duration"]) == (10_000_000, 10_000_000)
    whole = client.post(CHAT, json=chat(model=name, stream=False)).json()
    assert whole["message"]["content"] == "a red car"
    assert set(whole) == set(last)


def test_generate(serve: Serve) -> None:
    engine = FakeEngine(mean_probability=0.3, finish_reason="loop")
    client = serve(engine)
    body = {"model": "fake", "prompt": "what?", "system": "be brief", "images": [picture("blue")]}
    *pieces, last = lines(client.post(GENERATE, json=body).text)
    assert "".join(piece["response"] for piece in pieces) == "a red car"
    assert (last["response"], last["done_reason"]) == ("", "length")
    assert last["dvl2"]["finish_reason"] == "loop"
    assert last["dvl2"]["warnings"][0].startswith("low confidence")
    system, asked = engine.requests[0].messages
    assert (system.role, system.content) == ("system", "be brief")
    assert (asked.content, asked.places) == ("what?", None)
    assert asked.images[0].getpixel((0, 0)) == (0, 0, 255)
    assert client.post(GENERATE, json={**body, "stream": False}).json()["response"] == "a red car"


def test_a_conversation_with_pictures(serve: Serve) -> None:
    engine = FakeEngine()
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one", "images": [picture("red"), data_url("blue")]},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    assert serve(engine).post(CHAT, json=chat(*messages)).is_success
    got = [(item.role, item.content, len(item.images)) for item in engine.requests[0].messages]
    assert got == [
        ("system", "be brief", 0),
        ("user", "one", 2),
        ("assistant", "two", 0),
        ("user", "three", 0),
    ]


def test_options_reach_the_engine(serve: Serve) -> None:
    engine = FakeEngine()
    options = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 3, "num_predict": 30,
        "repeat_penalty": 1.2, "stop": ["END"], "num_ctx": 4096,
    }  # fmt: skip
    client = serve(engine)
    assert client.post(CHAT, json=chat(options=options)).is_success
    assert client.post(CHAT, json=chat(options={"num_predict": -1, "stop": "x"})).is_success
    assert client.post(CHAT, json=chat()).is_success
    first, second, third = engine.requests
    sampling = first.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 7)
    assert (sampling.seed, sampling.max_new_tokens) == (3, 30)
    assert sampling.repetition_penalty == 1.2
    assert (first.stop, second.stop, third.stop) == (("END",), ("x",), ())
    assert (second.sampling.max_new_tokens, third.sampling.max_new_tokens) == (4096, 1024)


def test_json_and_schemas(serve: Serve) -> None:
    engine = FakeEngine('{"total": "x"}')
    client = serve(engine)
    answer = client.post(CHAT, json=chat(format=SCHEMA, stream=False)).json()
    assert "breaks" in answer["dvl2"]["warnings"][0]
    assert client.post(CHAT, json=chat(format="json")).is_success
    assert client.post(CHAT, json=chat(format="")).is_success
    first, second, third = (request.constraint for request in engine.requests)
    assert first is not None
    assert json.loads(first.text)["required"] == ["total"]
    assert second is not None
    assert json.loads(second.text) == {"type": "object"}
    assert third is None


@pytest.mark.parametrize(("path", "text"), [(CHAT, "message"), (GENERATE, "response")])
def test_who_asks_nothing_is_told_that_it_is_loaded(serve: Serve, path: str, text: str) -> None:
    engine = FakeEngine()
    answer = serve(engine).post(path, json={"model": "fake", "keep_alive": "5m"}).json()
    assert (answer["done"], answer["done_reason"]) == (True, "load")
    assert text in answer
    assert not engine.requests


USER = {"role": "user", "content": "what?"}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (chat(model="llava"), 404, "the model 'llava' is not served"),
        ({"messages": [USER]}, 400, "model: "),
        (chat(tools=[{"type": "function"}]), 400, "tools: "),
        (chat(think=True), 400, "think: "),
        (chat(format="xml"), 400, "format"),
        (chat(format={"type": 5}), 400, "not a JSON Schema"),
        (chat(options={"mirostat": 1}), 400, "options.mirostat is not supported"),
        (chat(options={"num_ctx": 8192}), 400, "options.num_ctx: the model's context has 4096"),
        (chat(options={"top_p": 0}), 400, "options.top_p: "),
        (chat(extra=1), 400, "extra is not supported"),
        (chat({"role": "tool", "content": "x"}), 400, "messages.0.role"),
        (chat({"role": "assistant", "content": "x"}), 400, "of the assistant at the end"),
        (chat({"role": "system", "content": "x"}), 400, "of the system at the end"),
        (chat(USER, {"role": "system", "content": "x"}, USER), 400, "has to be the first"),
        (chat({**USER, "images": ["@@@"]}), 400, "messages.0.images.0 is not base64"),
        (chat({**USER, "images": ["aGVsbG8="]}), 400, "not a picture"),
        (chat({**USER, "images": ["/etc/passwd"]}), 400, "messages.0.images.0"),
        (chat({**USER, "images": [picture()] * 33}), 400, "more than 32 pictures"),
        (chat({**USER, "images": [picture(size=(9000, 8000))]}), 400, "megapixels"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_refused_is_named(
    serve: Serve, body: dict[str, Any], status: int, words: str, stream: bool
) -> None:
    engine = FakeEngine()
    response = serve(engine).post(CHAT, json={**body, "stream": stream})
    assert response.status_code == status
    assert set(response.json()) == {"error"}
    assert words in response.json()["error"]
    assert not engine.requests


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"suffix": "x"}, "suffix: "),
        ({"template": "x"}, "template: "),
        ({"context": [1]}, "context: "),
        ({"raw": True}, "raw: "),
        ({"images": ["@@@"]}, "images.0 is not base64"),
        ({"width": 64}, "width is not supported"),
    ],
)
def test_what_generate_refuses(serve: Serve, more: dict[str, Any], words: str) -> None:
    body = {"model": "fake", "prompt": "what?", **more}
    response = serve().post(GENERATE, json=body)
    assert response.status_code == 400
    assert response.json()["error"].startswith(words)


def test_keys_and_limits_hold_here_too(serve: Serve) -> None:
    keyed = serve(keys=ApiKeys(["first-key"]))
    refused = keyed.post(CHAT, json=chat())
    assert (refused.status_code, refused.json()) == (
        401,
        {"error": "the request shows no valid key"},
    )
    assert keyed.post(CHAT, json=chat(), headers={"Authorization": "Bearer first-key"}).is_success
    small = serve(limits=HttpLimits(body_bytes=1000)).post(CHAT, content=b" " * 1001)
    assert small.status_code == 413
    assert "is over" in small.json()["error"]


class Failing(FakeEngine):
    def __init__(self, error: Exception, after: int) -> None:
        super().__init__()
        self._error, self._after = error, after

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        for index, event in enumerate(super().stream(request, cancel)):
            if index == self._after:
                raise self._error
            yield event


def test_an_error_has_its_status_or_is_the_last_line(serve: Serve) -> None:
    before = serve(Failing(ContextOverflowError("the prompt takes 9000 tokens"), 0))
    response = before.post(CHAT, json=chat())
    assert (response.status_code, response.json()) == (
        400,
        {"error": "the prompt takes 9000 tokens"},
    )
    amid = serve(Failing(ModelError("the weights are damaged"), 4)).post(CHAT, json=chat())
    *pieces, last = lines(amid.text)
    assert pieces
    assert last == {"error": "the weights are damaged"}


def test_who_goes_away_cancels_the_answer() -> None:
    engine = Blocked()
    with running(engine) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.address.port, timeout=30)
        connection.request("POST", CHAT, json.dumps(chat()))
        response = connection.getresponse()
        assert json.loads(response.readline())["message"]["content"] == "a"
        response.close()
        connection.close()
        assert engine.cancelled.wait(30)


def test_who_takes_nothing_is_dropped() -> None:
    left = asyncio.Event()

    async def rows() -> AsyncGenerator[dict[str, Any]]:
        try:
            while True:
                yield {"a": 1}
        finally:
            left.set()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def answer(version: str) -> None:
        left.clear()
        scope = {"type": "http", "asgi": {"spec_version": version}}
        await JsonLines(0.05, CHAT, rows())(scope, receive, send)

    for version in ("2.3", "2.4"):
        with pytest.raises((TimeoutError, ClientDisconnect)):
            asyncio.run(answer(version))
        assert left.is_set()


def test_ollamas_own_client() -> None:
    engine = FakeEngine(lambda request: '{"total": 3}' if request.constraint else "a red car")
    with running(engine) as server:
        client = ollama.Client(server.address.url, trust_env=False)
        with client:
            (model,) = client.list().models
            assert model.model == "fake:latest"
            asked = {"role": "user", "content": "what?", "images": [png("blue")]}
            answer = client.chat(model.model, [asked], options={"temperature": 0})
            assert answer.message.content == "a red car"
            parts = client.chat("fake", [asked], stream=True)
            assert "".join(part.message.content or "" for part in parts) == "a red car"
            form = client.generate("fake", "total?", images=[png()], format=SCHEMA)
            assert json.loads(form.response or "") == {"total": 3}
            pieces = client.generate("fake", "what?", stream=True)
            assert "".join(piece.response or "" for piece in pieces) == "a red car"
            with pytest.raises(ollama.ResponseError, match="is not served") as refused:
                client.chat("llava", [asked])
            assert refused.value.status_code == 404
    assert engine.requests[0].messages[0].images[0].getpixel((0, 0)) == (0, 0, 255)
