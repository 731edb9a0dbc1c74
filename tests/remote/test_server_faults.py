"""Servers that hiccup, never end, name secrets, or sit behind a proxy."""

from __future__ import annotations

import pytest

from dvl2_cli import retrying
from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.remote import http
from dvl2_cli.engine.remote.http import BusyServerError, Http, ServerError
from dvl2_cli.engine.remote.openai import open_server
from dvl2_cli.engine.request import Message, Request, Sampling
from dvl2_cli.errors import UsageError
from dvl2_cli.settings import Settings
from dvl2_cli.urls import without_login
from tests.remote.openai_server import OpenAIServer, Script

QUESTION = Request((Message("user", "what is this?"),), Sampling(max_new_tokens=8))


def answer(server: OpenAIServer, url: str | None = None) -> Finished:
    *_, last = open_server(Settings(server=url or server.url)).stream(QUESTION)
    assert isinstance(last, Finished)
    return last


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_that_is_busy_for_now_is_asked_again(status: int) -> None:
    with OpenAIServer(Script(refusals=[status, status])) as server:
        assert answer(server).text == "a red car"
        assert len(server.bodies) == 3


def test_one_that_stays_busy_loses_this_request_and_not_the_batch() -> None:
    with OpenAIServer(Script(refusals=[503] * retrying.MAX_ATTEMPTS)) as server:
        with pytest.raises(BusyServerError, match=r"503: busy \(4 attempts\)") as caught:
            answer(server)
        assert not caught.value.fatal
        assert answer(server).text == "a red car"


def test_after_several_failures_in_a_row_it_gives_up() -> None:
    with OpenAIServer(Script(refusals=[500] * 100)) as server:
        engine = open_server(Settings(server=server.url))
        for _ in range(4):
            with pytest.raises(BusyServerError):
                list(engine.stream(QUESTION))
        with pytest.raises(ServerError, match="5 requests in a row failed") as caught:
            list(engine.stream(QUESTION))
        assert caught.value.fatal


def test_a_refusal_for_good_is_not_asked_again() -> None:
    with OpenAIServer(Script(refusals=[401])) as server:
        with pytest.raises(ServerError, match="answers 401") as caught:
            answer(server)
        assert caught.value.fatal
        assert len(server.bodies) == 1


def test_seconds_to_wait() -> None:
    assert retrying.wait_before(0, "7") == 7.0
    assert retrying.wait_before(1, "9999999") == 60.0
    waits = [retrying.wait_before(attempt, "soon") for attempt in range(3)]
    assert all(wait is not None and wait > 0 for wait in waits)
    assert waits == sorted(waits, key=lambda wait: wait or 0.0)
    assert retrying.wait_before(retrying.MAX_ATTEMPTS - 1, "1") is None


def test_a_server_that_ignores_max_tokens_is_left() -> None:
    piece = 'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'
    with OpenAIServer(Script(endless=piece)) as server:
        last = answer(server)
        assert last.finish_reason == "length"
        assert len(last.text) <= 4 * 8 + 1
        assert server.left.wait(10)


def test_comments_without_end_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_STREAM_BYTES", 10_000)
    with (
        OpenAIServer(Script(endless=f": {'x' * 500}\n\n")) as server,
        pytest.raises(ServerError, match="more than any answer has"),
    ):
        answer(server)


def test_comments_do_not_count_as_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SILENT_SECONDS", 0.3)
    with (
        OpenAIServer(Script(silent_seconds=30)) as server,
        pytest.raises(ServerError, match="it took too long"),
    ):
        answer(server)


def test_a_listing_that_is_no_list() -> None:
    with (
        OpenAIServer(Script(body=b'{"data": 5}')) as server,
        pytest.raises(ServerError, match="lists no model"),
    ):
        answer(server)


@pytest.mark.parametrize("where", ["refusal", "stream"])
def test_an_echoed_key_is_not_shown(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVL2_API_KEY", "s3cret-key")
    message = {"error": {"message": "bad key s3cret-key"}}
    script = (
        Script(refusals=[400], refusal=b'{"error": {"message": "bad key s3cret-key"}}')
        if where == "refusal"
        else Script(chunks=[message])
    )
    with OpenAIServer(script) as server, pytest.raises(ServerError) as caught:
        answer(server)
    assert "s3cret" not in caught.value.message
    assert "bad key ***" in caught.value.message


def test_user_and_password_of_a_url_are_sent_and_never_shown() -> None:
    with OpenAIServer() as server:
        url = server.url.replace("://", "://me:pa%20ss@")
        engine = open_server(Settings(server=url))
        assert engine.info.device == server.url
        *_, last = engine.stream(QUESTION)
        assert isinstance(last, Finished)
        # "me:pa ss" in base64
        assert {head["Authorization"] for head in server.headers} == {"Basic bWU6cGEgc3M="}
    with pytest.raises(ServerError) as caught:
        open_server(Settings(server="http://me:hidden@127.0.0.1:9"))
    assert "hidden" not in caught.value.message
    assert without_login("http://me:hidden@h:1/v1") == "http://h:1/v1"


@pytest.mark.parametrize("url", ["http://[", "http://h:99999", "ftp://me:hidden@h", "http://"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UsageError, match="is not a URL") as caught:
        Http(url)
    assert "hidden" not in caught.value.message


def test_this_machine_is_asked_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with OpenAIServer() as server:
        assert answer(server).text == "a red car"


def test_a_proxy_that_fails_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://me:hidden@127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ServerError, match=r"through the proxy http://127\.0\.0\.1:9") as caught:
        Http("http://models.invalid:8000").get("/v1/models")
    assert "hidden" not in caught.value.message
