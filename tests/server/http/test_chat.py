from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from dvl2_cli.engine.events import Confidence, Event, Finished, Started, Token, Usage
from dvl2_cli.engine.remote.http import Http
from dvl2_cli.engine.remote.openai import ServerEngine
from dvl2_cli.engine.request import Message, Request
from dvl2_cli.errors import ContextOverflowError, ModelError
from dvl2_cli.prompts import locate
from tests.fakes import FakeEngine
from tests.server.http.conftest import Serve, asked, data_url, events, image_part, text_part

PATH = "/v1/chat/completions"


class Pieces(FakeEngine):
    """Answers in given pieces, of which control tokens are whole ones."""

    def __init__(self, *pieces: str, text: str) -> None:
        super().__init__()
        self._pieces, self._text = pieces, text

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        self.requests.append(request)
        yield Started(self.cost(request), 3)
        for index, piece in enumerate(self._pieces):
            yield Token(piece, index, -0.5)
        usage = Usage(10, 0, len(self._pieces), 0.1, 0.1)
        yield Finished(self._text, "".join(self._pieces), "stop", usage, Confidence(0.9))


def test_an_answer(serve: Serve) -> None:
    engine = FakeEngine("a red car", mean_probability=0.3)
    answer = serve(engine).post(PATH, json=asked("what is it?", model="fake")).json()
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "a red car", "refusal": None}
    assert (choice["finish_reason"], choice["index"]) == ("stop", 0)
    assert choice["dvl2"]["finish_reason"] == "stop"
    assert choice["dvl2"]["warnings"][0].startswith("low confidence")
    assert answer["usage"]["prompt_tokens"] == 3
    assert answer["usage"]["completion_tokens"] == 9
    assert answer["usage"]["total_tokens"] == 12
    assert (answer["object"], answer["model"]) == ("chat.completion", "fake")


def test_a_stream_is_the_answer_in_pieces(serve: Serve) -> None:
    body = asked("what is it?", stream=True, stream_options={"include_usage": True})
    response = serve().post(PATH, json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, last, done = events(response.text)
    assert done == "[DONE]"
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 9
    assert all(chunk["usage"] is None for chunk in chunks)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == "a red car"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-2:] == [None, "stop"]
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_sampling_reaches_the_engine(serve: Serve) -> None:
    engine = FakeEngine()
    body = asked(
        "go on", temperature=0.5, top_p=0.9, seed=7, max_completion_tokens=30, stop=["END"], n=2
    )
    answer = serve(engine).post(PATH, json=body).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    first, second = engine.requests
    assert (first.sampling.temperature, first.sampling.top_p) == (0.5, 0.9)
    assert first.sampling.max_new_tokens == 30
    assert (first.sampling.seed, second.sampling.seed) == (7, 8)
    assert first.stop == ("END",)


def message(serve: Serve, *content: Any) -> Any:
    engine = FakeEngine()
    assert serve(engine).post(PATH, json=asked(*content)).status_code == 200
    return engine.requests[0].messages[0]


def test_pictures_lead_or_stand_where_they_stood(serve: Serve) -> None:
    picture, words = image_part(), text_part("what is it?")
    leading = message(serve, picture, words)
    assert (leading.places, leading.content, len(leading.images)) == (None, "what is it?", 1)
    # a lone picture after the text goes to the front, where the model was trained to see it
    assert (
        message(serve, words, picture) == leading or message(serve, words, picture).places is None
    )
    two = message(serve, image_part("red"), image_part("blue"), words)
    assert two.places is None
    assert [image.getpixel((0, 0)) for image in two.images] == [(255, 0, 0), (0, 0, 255)]
    between = message(
        serve, text_part("is "), image_part("red"), text_part(" more than "), image_part("blue")
    )
    assert (between.content, between.places) == ("is  more than ", (3, 14))


def test_words_in_which_tags_are_text_reach_the_engine(serve: Serve) -> None:
    engine = FakeEngine()
    client = serve(engine)
    question = locate.about("the <|det|> tag")
    sent = Message("user", question.text, (Image.new("RGB", (2, 2)),), literal=question.literal)
    body = ServerEngine(Http("http://h"), engine.info, is_dvl2=True).body(Request((sent,)))
    assert client.post(PATH, json=body).status_code == 200
    (received,) = engine.requests[0].messages
    assert (received.content, received.literal) == (sent.content, sent.literal)
    body["dvl2"]["literal"] = [[[3, 99]]]
    refused = client.post(PATH, json=body)
    assert refused.status_code == 400
    assert "dvl2.literal does not fit" in refused.json()["error"]["message"]


def test_detail_low_is_the_thumbnail(serve: Serve) -> None:
    engine = FakeEngine()
    client = serve(engine)
    assert client.post(PATH, json=asked(image_part(detail="low"), text_part("?"))).is_success
    assert client.post(PATH, json=asked(image_part(detail="high"), text_part("?"))).is_success
    assert [request.tiles for request in engine.requests] == [0, None]
    mixed = asked(image_part(detail="low"), image_part(), text_part("?"))
    refused = client.post(PATH, json=mixed)
    assert refused.status_code == 400
    assert "detail low for some pictures" in refused.json()["error"]["message"]


def test_a_conversation(serve: Serve) -> None:
    engine = FakeEngine()
    called = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "developer", "content": "be brief"},
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "1", "content": "that was wrong"},
    ]
    assert serve(engine).post(PATH, json={"messages": messages}).is_success
    got = [(item.role, item.content) for item in engine.requests[0].messages]
    assert got == [
        ("system", "be brief\n\nbe kind"),
        ("user", "one"),
        ("assistant", '{"a": 1}'),
        ("user", "that was wrong"),
    ]


def test_control_tokens_are_not_shown(serve: Serve) -> None:
    engine = Pieces(
        " ", "<|ref|>", "car", "<|/ref|>", "<|det|>", "[[0, 0, 9, 9]]", "<|/det|>",
        text="car[[0, 0, 9, 9]]",
    )  # fmt: skip
    client = serve(engine)
    whole = client.post(PATH, json=asked("where?")).json()["choices"][0]
    assert whole["message"]["content"] == "car[[0, 0, 9, 9]]"
    assert whole["dvl2"]["raw"] == " <|ref|>car<|/ref|><|det|>[[0, 0, 9, 9]]<|/det|>"
    chunks = events(client.post(PATH, json=asked("where?", stream=True)).text)[:-1]
    parts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(parts) == "car[[0, 0, 9, 9]]"


def test_what_may_start_a_stop_string_is_held_back(serve: Serve) -> None:
    engine = Pieces("one E", "NO", " two EN", "D three", text="one ENO two")
    body = asked("count", stream=True, stop="END")
    chunks = events(serve(engine).post(PATH, json=body).text)[:-1]
    parts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(parts) == "one ENO two"
    assert "one E" not in parts


def test_log_probabilities(serve: Serve) -> None:
    engine = Pieces("a", " car", text="a car")
    client = serve(engine)
    body = asked("what?", logprobs=True)
    content = client.post(PATH, json=body).json()["choices"][0]["logprobs"]["content"]
    assert [item["token"] for item in content] == ["a", " car"]
    assert bytes(content[1]["bytes"]) == b" car"
    assert math.isclose(content[0]["logprob"], -0.5)
    chunks = events(client.post(PATH, json={**body, "stream": True}).text)[:-1]
    streamed = [chunk["choices"][0]["logprobs"] for chunk in chunks]
    assert [item for entry in streamed if entry for item in entry["content"]] == content


SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}


def test_json_is_held_to_its_schema(serve: Serve) -> None:
    engine = FakeEngine('{"total": "x"}')
    form = {"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA, "strict": True}}
    answer = serve(engine).post(PATH, json=asked("total?", response_format=form)).json()
    constraint = engine.requests[0].constraint
    assert constraint is not None
    assert json.loads(constraint.text)["required"] == ["total"]
    assert "breaks" in answer["choices"][0]["dvl2"]["warnings"][0]
    form = {"type": "json_object"}
    serve(engine).post(PATH, json=asked("total?", response_format=form))
    constraint = engine.requests[1].constraint
    assert constraint is not None
    assert json.loads(constraint.text) == {"type": "object"}


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA}}


def test_a_tool_is_called_by_the_same_means(serve: Serve) -> None:
    client = serve(FakeEngine('{"total": 3}'))
    body = asked("total?", tools=[tool("answer")], tool_choice="required")
    choice = client.post(PATH, json=body).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "answer", "arguments": '{"total": 3}'}
    chunks = events(client.post(PATH, json={**body, "stream": True}).text)[:-1]
    parts = [
        part for chunk in chunks for part in chunk["choices"][0]["delta"].get("tool_calls", ())
    ]
    assert parts[0]["function"]["name"] == "answer"
    assert "".join(part["function"]["arguments"] for part in parts) == '{"total": 3}'
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_one_of_several_tools(serve: Serve) -> None:
    engine = FakeEngine('{"name": "b", "arguments": {"total": 3}}')
    client = serve(engine)
    body = asked("total?", tools=[tool("a"), tool("b")], tool_choice="required")
    (call,) = client.post(PATH, json=body).json()["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "b", "arguments": '{"total": 3}'}
    named = {"type": "function", "function": {"name": "a"}}
    assert client.post(PATH, json={**body, "tool_choice": named}).is_success
    last = engine.requests[-1].constraint
    assert last is not None
    assert json.loads(last.text)["required"] == ["total"]


FORCED = {"tools": [tool("a")], "tool_choice": "required"}
NO_SCHEMA = {"type": "json_schema", "json_schema": {"name": "t", "schema": {"type": 5}}}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"audio": {}}, "audio is not supported"),
        ({"tools": [tool("a")]}, "tool_choice auto is not supported"),
        ({**FORCED, "response_format": {"type": "json_object"}}, "response_format beside tools"),
        ({"temperature": -1}, "temperature: "),
        ({"temperature": "hot"}, "temperature: "),
        ({"n": 0}, "n: "),
        ({"model": "gpt"}, "the model 'gpt' is not served"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "differ"),
        ({"response_format": NO_SCHEMA}, "not a JSON Schema"),
        ({"messages": []}, "messages: "),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input_audio"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "not JSON"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "assistant's message at the end"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(serve: Serve, more: dict[str, Any], words: str) -> None:
    engine = FakeEngine()
    body = json.dumps({**asked("what?"), **more})
    response = serve(engine).post(PATH, content=body)
    assert response.status_code == (404 if "model" in more else 400)
    error = response.json()["error"]
    assert words in error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    assert not engine.requests


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/passwd", "no data: URL"),
        ("/etc/passwd", "no data: URL"),
        ("http://127.0.0.1/x.png", "fetches nothing"),
        ("data:image/png;base64,@@@", "not valid base64"),
        ("data:image/png;base64,aGVsbG8=", "not a picture"),
        ("data:image/png;base64,", "is empty"),
    ],
)
def test_pictures_that_cannot_be_read(serve: Serve, url: str, words: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    response = serve().post(PATH, json=asked(part, text_part("?")))
    assert response.status_code == 400
    error = response.json()["error"]
    assert words in error["message"]
    assert error["param"] == "messages.0.content.0.image_url"


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[]", b"nul", b'{"messages": NaN}', b"\xff", b"[" * 100_000]
)
def test_what_is_no_json(serve: Serve, body: bytes) -> None:
    response = serve().post(PATH, content=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(("the body", "messages"))


class Failing(FakeEngine):
    def __init__(self, error: Exception, *, after: int) -> None:
        super().__init__()
        self._error, self._after = error, after

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        for index, event in enumerate(super().stream(request, cancel)):
            if index == self._after:
                raise self._error
            yield event


def test_an_error_before_the_answer_has_its_status(serve: Serve) -> None:
    client = serve(Failing(ContextOverflowError("the prompt takes 9000 tokens"), after=0))
    for stream in (False, True):
        response = client.post(PATH, json=asked("what?", stream=stream))
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "context_length_exceeded"


def test_an_error_in_mid_answer_is_an_event(serve: Serve) -> None:
    client = serve(Failing(ModelError("the weights are damaged"), after=4))
    *_, error, done = events(client.post(PATH, json=asked("what?", stream=True)).text)
    assert error["error"]["message"] == "the weights are damaged"
    assert error["error"]["type"] == "server_error"
    assert done == "[DONE]"
    assert client.post(PATH, json=asked("what?")).status_code == 500


def test_one_fault_does_not_stop_the_server(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    client = serve(Failing(ZeroDivisionError("secret"), after=2))
    response = client.post(PATH, json=asked("what?"))
    assert response.status_code == 500
    assert "secret" not in response.text
    assert capfd.readouterr().err == "dvl2: ZeroDivisionError: secret\n"
    assert client.get("/health").status_code == 200


def test_text_is_never_markup(serve: Serve) -> None:
    engine = FakeEngine()
    words = "<image> <|User|> <｜end▁of▁sentence｜>"
    assert serve(engine).post(PATH, json=asked(words)).is_success
    (turn,) = engine.requests[0].messages
    assert (turn.content, turn.images) == (words, ())


def test_too_many_pictures(serve: Serve) -> None:
    parts = [image_part() for _ in range(33)]
    response = serve().post(PATH, json=asked(*parts))
    assert response.status_code == 400
    assert "more than 32 pictures" in response.json()["error"]["message"]


def test_a_bomb_is_refused_before_it_is_decoded(serve: Serve) -> None:
    url = data_url(size=(9000, 8000))
    part = {"type": "image_url", "image_url": {"url": url}}
    response = serve().post(PATH, json=asked(part))
    assert response.status_code == 400
    assert "megapixels" in response.json()["error"]["message"]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1"])
def test_urls_of_private_addresses_are_refused(serve: Serve, host: str) -> None:
    part = {"type": "image_url", "image_url": {"url": f"http://{host}:9/x.png"}}
    response = serve(allow_urls=True).post(PATH, json=asked(part))
    assert response.status_code == 400
    assert "not a public address" in response.json()["error"]["message"]
