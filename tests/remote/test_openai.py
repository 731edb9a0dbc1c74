from __future__ import annotations

import base64
import io
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.engine.events import Finished, Started, Token
from dvl2_cli.engine.remote.http import ServerError
from dvl2_cli.engine.remote.openai import ServerEngine, open_server
from dvl2_cli.engine.request import Constraint, Message, Request, Sampling
from dvl2_cli.errors import UsageError
from dvl2_cli.settings import Settings
from tests.commands.conftest import picture
from tests.remote.openai_server import OpenAIServer, Script

QUESTION = Request((Message("user", "what is this?"),))


def opened(server: OpenAIServer, model: str | None = None) -> ServerEngine:
    sources = {"model": "flag --model"} if model else {}
    engine = open_server(Settings(server=server.url, model=model, sources=sources))
    assert isinstance(engine, ServerEngine)
    return engine


def answer(server: OpenAIServer, request: Request = QUESTION) -> Finished:
    *_, last = opened(server).stream(request)
    assert isinstance(last, Finished)
    return last


def test_an_answer_comes_piece_by_piece() -> None:
    usage = {"prompt_tokens": 450, "completion_tokens": 7}
    with OpenAIServer(Script(usage=usage, finish_reason="length")) as server:
        started, *tokens, last = opened(server).stream(QUESTION)
    assert isinstance(started, Started)
    assert [token.text for token in tokens if isinstance(token, Token)] == ["a red", " car"]
    assert isinstance(last, Finished)
    assert (last.text, last.finish_reason) == ("a red car", "length")
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (450, 7)
    assert last.confidence.mean_probability is None  # never made up


def test_the_request_is_openais() -> None:
    pictures = (Image.new("RGB", (3, 2), "red"), Image.new("RGB", (5, 4), "blue"))
    request = Request(
        (Message("system", "be brief"), Message("user", "compare", pictures)),
        Sampling(0.5, 0.9, seed=7, max_new_tokens=99),
        Constraint("json_schema", '{"type": "object"}'),
        stop=("END",),
    )
    with OpenAIServer() as server:
        answer(server, request)
        (body,) = server.bodies
    assert (body["model"], body["stream"], body["max_tokens"]) == ("m", True, 99)
    assert (body["temperature"], body["top_p"], body["seed"]) == (0.5, 0.9, 7)
    assert body["stop"] == ["END"]
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert body["messages"][0] == {"role": "system", "content": "be brief"}
    first, second, text = body["messages"][1]["content"]
    sizes = []
    for part in (first, second):
        head, _, data = part["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            sizes.append(image.size)
    assert sizes == [(3, 2), (5, 4)]
    assert text == {"type": "text", "text": "compare"}
    assert "dvl2" not in body


def test_only_dvl2s_own_server_is_sent_a_grammar() -> None:
    request = Request(
        QUESTION.messages, constraint=Constraint("lark", "start: x"), tiles=3, zoom=2.0
    )
    with OpenAIServer(Script(models=[{"id": "m", "owned_by": "dvl2"}])) as server:
        answer(server, request)
        assert server.bodies[0]["dvl2"]["constraint"] == {"kind": "lark", "text": "start: x"}
        assert server.bodies[0]["dvl2"]["tiles"] == 3
        assert server.bodies[0]["dvl2"]["zoom"] == 2


def test_the_model_is_the_named_one_or_the_only_one() -> None:
    with OpenAIServer(Script(models=[{"id": "a", "max_model_len": 99}, {"id": "b"}])) as server:
        assert opened(server, "a").info.context_length == 99
        with pytest.raises(UsageError, match="has 2 models"):
            opened(server)
        with pytest.raises(ServerError, match="has no model c"):
            opened(server, "c")
    with OpenAIServer(Script(models=[])) as server, pytest.raises(ServerError, match="no model"):
        opened(server)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script(break_off=True), "broke off in mid-answer"),
        (Script(chunks=[{"error": {"message": "too long a prompt"}}]), "too long a prompt"),
    ],
)
def test_a_stream_that_fails_is_one_clear_error(script: Script, words: str) -> None:
    with OpenAIServer(script) as server, pytest.raises(ServerError, match=words):
        answer(server)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script(status=401, body=b'{"error": {"message": "no key"}}'), "answers 401: no key"),
        (Script(status=500, body=b"<html>\nboom"), "answers 500: <html>"),
        (Script(status=302, location="http://127.0.0.1:9/"), "answers 302"),
        (Script(body=b"<html>"), "holds no JSON"),
        (Script(body=b"[]"), "holds no JSON object"),
    ],
)
def test_refusals(script: Script, words: str) -> None:
    with OpenAIServer(script) as server, pytest.raises(ServerError, match=words) as caught:
        opened(server)
    assert caught.value.exit_code == 3
    assert "\n" not in caught.value.message


def test_nobody_there_and_no_url() -> None:
    with pytest.raises(ServerError, match=r"cannot reach the server http://127\.0\.0\.1:9: "):
        open_server(Settings(server="http://127.0.0.1:9/v1/"))
    with pytest.raises(UsageError, match="is not a URL"):
        open_server(Settings(server="localhost:8000"))


def test_a_silent_server_can_be_left() -> None:
    cancel = threading.Event()
    with OpenAIServer(Script(silent_seconds=20)) as server:
        events = opened(server).stream(QUESTION, cancel)
        assert isinstance(next(events), Started)
        threading.Timer(0.2, cancel.set).start()
        (last,) = events
        assert isinstance(last, Finished)
        assert last.finish_reason == "cancelled"
        assert server.left.wait(10)  # and it is told


def test_the_command_asks_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from dvl2_cli.app import main

    photo = picture(tmp_path / "photo.png")
    monkeypatch.setenv("DVL2_API_KEY", "top-secret")
    answer_text = "<|ref|>car<|/ref|><|det|>[[0, 0, 999, 499]]<|/det|>"
    with OpenAIServer(Script(chunks=[answer_text])) as server:
        monkeypatch.setenv("DVL2_SERVER", server.url)
        monkeypatch.setattr(sys, "argv", ["dvl2", "ground", str(photo), "car", "-f", "csv"])
        main_code = 0
        try:
            main()
        except SystemExit as ended:
            main_code = int(ended.code or 0)
        assert server.headers[0]["Authorization"] == "Bearer top-secret"
    out, err = capfd.readouterr()
    assert main_code == 0
    assert out.splitlines()[1].endswith("car,car,0.0,0.0,200.0,49.95,200,100")
    assert f"dvl2: model m (served by {server.url})" in err
    assert "top-secret" not in out + err
