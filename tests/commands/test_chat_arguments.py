"""Pictures, questions and stdin as people put them on the command line of chat."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvl2_cli.chatting.arguments import split_question
from dvl2_cli.errors import UsageError
from tests.commands.conftest import Cli, picture
from tests.commands.fake_process import Process
from tests.fakes import FakeEngine


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return picture(tmp_path / "a photo.png")


@pytest.mark.parametrize(
    "question",
    ["What is this?", "Why?", "Describe it.", "what does 1/2 mean", "Is it red or [blue]?"],
)
def test_the_last_argument_may_be_the_question(cli: Cli, photo: Path, question: str) -> None:
    engine = FakeEngine()
    done = cli("chat", photo, question, engine=engine)
    assert (done.code, done.out) == (0, "a red car\n")
    assert engine.requests[-1].messages[-1].shown == f"<image>\n{question}"
    assert split_question([question]) == ([], question)


def test_a_preset_takes_a_question_too(cli: Cli, photo: Path) -> None:
    engine = FakeEngine()
    cli("chat", photo, "and why is that?", "--preset", "describe", engine=engine)
    assert engine.requests[-1].messages[-1].content == "Describe this image.\nand why is that?"


@pytest.mark.parametrize(
    "last",
    [
        "a photo.png", ".", "*.png", "a*?", "nowhere.png", "*.jpg", "-", "photos/none",
        "http://x.example/is it?", "data:image/png;base64,AA==", "file:///a photo.png",
    ],
)  # fmt: skip
def test_what_names_a_picture_is_no_question(photo: Path, last: str) -> None:
    assert split_question([str(photo), last]) == ([str(photo), last], None)


@pytest.mark.parametrize("last", ["my photo.png", "/home/me/my photo", "hello", " "])
def test_what_may_be_either_is_asked_about(photo: Path, last: str) -> None:
    with pytest.raises(UsageError, match=r"is it the question|is empty"):
        split_question([str(photo), last])
    assert split_question([last, str(photo)]) == ([last, str(photo)], None)


def test_a_question_beside_text_on_stdin_is_refused(tmp_path: Path, photo: Path) -> None:
    process = Process(tmp_path)
    for words in (("-p", "what?"), ("What is this?",), ("--preset", "describe")):
        done = process.run("chat", photo, *words, input=b"more text")
        assert done.returncode == 2
        assert b"there is text on stdin as well as a question" in done.stderr
        assert b"-p -" in done.stderr
    assert process.asked() == 0
    done = process.run("chat", photo, "What is this?", input=b"")
    assert (done.returncode, done.stderr) == (0, b"")


def test_text_that_comes_too_late_on_stdin_is_not_ignored(tmp_path: Path, photo: Path) -> None:
    process = Process(tmp_path, log=str(tmp_path / "log"), delay=1.0)
    running = process.start("chat", photo, "-p", "what?", stdin=-1)
    log = tmp_path / "log"
    while running.poll() is None and not log.exists():
        pass  # it is being answered
    _, err = running.communicate(b"late")
    assert running.returncode == 0
    assert b"warning: what came on stdin was not read" in err


def test_a_question_may_come_with_a_picture_on_stdin(tmp_path: Path, photo: Path) -> None:
    done = Process(tmp_path).run("chat", "-", "How large?", input=photo.read_bytes())
    assert done.stdout == b"A picture of 200x100 pixels.\n"
