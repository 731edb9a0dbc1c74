"""Text that is not UTF-8, and markers, in every option that takes text."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvl2_cli.engine.remote.codec import RequestDecoder, encode_request
from dvl2_cli.engine.request import Message, Request
from tests.commands.conftest import Cli, picture
from tests.commands.conftest import cli as cli
from tests.fakes import FakeEngine

HALF = "half \ud83d of a pair"
BYTES = "st\udce4r"
CAR = "<|ref|>car<|/ref|><|det|>[[220, 270, 422, 720]]<|/det|>"
ENTRANCES: dict[str, tuple[str, ...]] = {
    "question": ("chat", "{}", "-p", "?"),
    "question as an argument": ("chat", "{}", "?"),
    "system prompt": ("chat", "{}", "-p", "x", "--system", "?"),
    "schema": ("chat", "-p", "x", "--schema", '{"properties": {"?": {}}}'),
    "field list": ("chat", "-p", "x", "--schema", "a: ?"),
    "preset": ("chat", "-p", "x", "--preset", "?"),
    "session": ("chat", "-p", "x", "--session", "?"),
    "phrase": ("ground", "{}", "?"),
    "field": ("ocr", "{}", "--fields", "?"),
    "schema of ocr": ("ocr", "{}", "--schema", "?"),
    "pages": ("ocr", "{}", "--pages", "?"),
    "format": ("ocr", "{}", "-f", "?"),
    "prefix": ("caption", "{}", "--prefix", "?"),
    "template": ("caption", "{}", "--template", "? {caption}"),
    "wanted word": ("caption", "{}", "--include", "?"),
    "unwanted word": ("caption", "{}", "--avoid", "?"),
    "password": ("ocr", "{}", "--password", "?"),
    "pattern": ("ocr", "{}", "--exclude", "?"),
    "picture": ("ocr", "?"),
    "model": ("show", "?"),
    "setting": ("config", "set", "model", "?"),
    "command": ("?",),
    "topic": ("help", "?"),
    "history": ("history", "show", "?"),
    "search": ("history", "search", "?"),
    "data": ("eval", "?"),
}


@pytest.mark.parametrize("text", [HALF, BYTES])
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_text_that_is_no_unicode_is_one_error_or_replaced(
    cli: Cli, tmp_path: Path, entrance: str, text: str
) -> None:
    photo = picture(tmp_path / "a.png")
    words = [word.replace("{}", str(photo)).replace("?", text) for word in ENTRANCES[entrance]]
    done = cli(*words, engine=FakeEngine(CAR))
    said = [line for line in done.err.splitlines() if line.startswith("dvl2: ")]
    assert done.code == 0 or said, done.err
    assert done.code in (0, 1, 2, 3, 5)
    assert "Error" not in done.err


def test_stdin_that_is_no_unicode(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"st\xe4r", b"\xed\xa0\xbd half", b"\xff\xfe\x3d"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        done = cli("chat", "-p", "-", engine=FakeEngine("x"))
        assert (done.code, done.err.count("\n")) == (2, 2), done.err
        assert "is not UTF-8 text" in done.err


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.text(st.sampled_from("<|/>refdtgiomUsA﷐\n ") | st.characters(codec="utf-8"), max_size=30),
    st.data(),
)
def test_every_message_travels_to_a_warm_process_as_it_is(text: str, data: st.DataObject) -> None:
    ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    spans = tuple(zip(ends[::2], ends[1::2], strict=False))
    request = Request((Message("system", text), Message("user", text, literal=spans)))
    message, _ = encode_request(request)
    assert RequestDecoder(bytearray()).request(message) == request
