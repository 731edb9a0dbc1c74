"""OpenAI's own client asks: a picture, a stream, a schema, and a mistake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes import FakeEngine
from tests.server.http.conftest import Serve, image_part, text_part

openai = pytest.importorskip("openai")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine('{"colour": "red"}')


@pytest.fixture
def client(serve: Serve, engine: FakeEngine) -> Any:
    return openai.OpenAI(
        base_url="http://127.0.0.1:8000/v1", api_key="-", max_retries=0, http_client=serve(engine)
    )


MESSAGES: list[Any] = [{"role": "user", "content": [image_part("red"), text_part("Which colour?")]}]


def test_a_picture_is_asked_about(client: Any, engine: FakeEngine) -> None:
    answer = client.chat.completions.create(model="fake", messages=MESSAGES)
    assert answer.choices[0].message.content == '{"colour": "red"}'
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    (message,) = engine.requests[0].messages
    assert message.images[0].getpixel((0, 0)) == (255, 0, 0)


def test_a_stream_is_read(client: Any) -> None:
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            model="fake", messages=MESSAGES, stream=True, stream_options=options
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == '{"colour": "red"}'
    assert chunks[-1].usage.completion_tokens > 0


def test_a_schema_holds_the_answer(client: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string"}},
        "required": ["colour"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "seen", "schema": schema}}
    answer = client.chat.completions.create(model="fake", messages=MESSAGES, response_format=form)
    assert json.loads(answer.choices[0].message.content) == {"colour": "red"}


def test_what_is_wrong_is_the_clients_own_error(client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="fake", messages=MESSAGES, temperature=-1)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="another", messages=MESSAGES)


def test_models_are_listed(client: Any) -> None:
    assert [model.id for model in client.models.list()]
