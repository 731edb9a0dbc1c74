"""The conversation in a pseudo-terminal, over the fake engine."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.terminal import Terminal

FAKE_CLI = str(Path(__file__).parents[1] / "commands" / "fake_cli.py")
PROMPT = ">>>"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a photo.png"
    Image.effect_noise((60, 40), 90).convert("RGB").save(path)
    return path


def chat(
    tmp_path: Path, *arguments: str, rows: int = 30, columns: int = 160, **script: object
) -> Terminal:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"answer": "a red car", **script}))
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    env.pop("NO_COLOR", None)
    return Terminal(FAKE_CLI, str(path), "chat", *arguments, env=env, rows=rows, columns=columns)


def test_how_many_is_checked_by_pointing(tmp_path: Path, photo: Path) -> None:
    boxes = "[[0, 0, 200, 200], [400, 400, 600, 600], [700, 700, 900, 900]]"
    policy = {"count_by_boxes": True}
    answers = {"How many": "1", "<|ref|>": f"<|ref|>cars<|/ref|><|det|>{boxes}<|/det|>"}
    with chat(tmp_path, str(photo), answer=answers, policy=policy) as terminal:
        terminal.wait(PROMPT)
        terminal.send("How many cars are there?\r")
        shown = terminal.wait("of 4,096 tokens")
        assert re.search(r"^3\s*$", shown, re.MULTILINE)
        assert not re.search(r"^1\s*$", shown, re.MULTILINE)
        terminal.send("/exit\r")
        assert terminal.end() == 0


def test_a_conversation_with_its_commands(tmp_path: Path, photo: Path) -> None:
    with chat(tmp_path, str(photo)) as terminal:
        assert "(60 x 40)" in terminal.wait(PROMPT)
        terminal.send("what is it?\r")
        terminal.wait("a red car")
        terminal.wait("of 4,096 tokens")
        terminal.send("/image\r")
        terminal.wait("1. ")
        terminal.send(f"'{photo}'\r")
        terminal.wait("dvl2: attached", count=2)
        terminal.send("/image\r")
        terminal.wait("for the next question")
        terminal.send("/tiles 3\r")
        terminal.wait("local tiles per picture: 3")
        terminal.send("/tiles many\r")
        terminal.wait("/tiles many: not a number of tiles")
        terminal.send("/system be brief\r")
        terminal.wait("system prompt: be brief")
        terminal.send("/stats\r")
        terminal.wait("timing is shown")
        terminal.send("/retry\r")
        terminal.wait("again, at temperature 0.7")
        terminal.wait("per second")
        terminal.send("/hlep\r")
        terminal.wait("Did you mean /help?")
        terminal.send("/help\r")
        terminal.wait("Boxes of what the phrase names.")
        terminal.send("/undo\r")
        terminal.wait("forgot the question 'what is it?'")
        terminal.send("/undo\r")
        terminal.wait("nothing has been asked yet")
        terminal.send("/clear\r")
        terminal.wait("cleared: a new session")
        terminal.send("/exit\r")
        assert terminal.end() == 0


def test_lines_paths_and_slashes(tmp_path: Path, photo: Path) -> None:
    log = tmp_path / "log"
    with chat(tmp_path, log=str(log)) as terminal:
        terminal.wait(PROMPT)
        terminal.send("one\x1b\rtwo\r")  # Alt-Enter
        terminal.wait("a red car")
        terminal.send("\x1b[200~three\nfour\x1b[201~\r")  # pasted
        terminal.wait("a red car", count=2)
        terminal.send(f"is {photo} nice?\r")  # a path inside a question is no picture
        terminal.wait("a red car", count=3)
        terminal.send("//etc is a folder\r")
        terminal.wait("a red car", count=4)
        terminal.send("/nowhere/x.png\r")
        terminal.wait("there is no command /nowhere/x.png")
        terminal.send(f"/image {photo}\r")
        terminal.wait("dvl2: attached")
        terminal.send(f"file://{str(photo).replace(' ', '%20')}\r")
        terminal.wait("dvl2: attached", count=2)
        terminal.send("\x04")
        assert terminal.end() == 0
    assert log.read_text().splitlines() == [
        "one two",
        "three four",
        f"is {photo} nice?",
        "/etc is a folder",
    ]


def test_what_is_typed_during_an_answer_is_the_next_question(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with chat(tmp_path, answer="word " * 10 + "END", pace=0.03, log=str(log)) as terminal:
        terminal.wait(PROMPT)
        terminal.send("one\r")
        terminal.wait("wo")
        terminal.send("two\r\x04")
        terminal.wait("END", count=2)
        assert terminal.end() == 0
    assert log.read_text().splitlines() == ["one", "two"]


def test_ctrl_c_stops_the_answer_and_keeps_the_session(tmp_path: Path) -> None:
    with chat(tmp_path, answer="word " * 20, pace=0.1) as terminal:
        terminal.wait(PROMPT)
        terminal.send("tell me\r")
        terminal.wait("wo")
        terminal.send("\x03")
        terminal.wait("dvl2: stopped")
        terminal.wait(PROMPT, count=2)
        terminal.send("/undo\r")
        terminal.wait("forgot the question 'tell me'")
        terminal.send("\x03")
        terminal.wait("Ctrl-C again, or Ctrl-D, ends the chat")
        terminal.send("\x03")
        assert terminal.end() == 130


def test_retry_asks_the_question_that_was_stopped_before_its_answer(tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    with chat(tmp_path, gate=str(gate), log=str(log)) as terminal:
        terminal.wait("loading the model")
        terminal.send("one\r")
        terminal.wait(" loading the model")
        terminal.send("\x03")
        terminal.wait("not asked: the model is still being loaded")
        gate.touch()
        terminal.wait("\nfake")
        terminal.send("/retry\r")
        terminal.wait("a red car")
        terminal.send("\x04")
        assert terminal.end() == 0
    assert log.read_text().splitlines() == ["one"]


def test_sessions_are_kept_and_continued(tmp_path: Path, photo: Path) -> None:
    with chat(tmp_path, str(photo)) as terminal:
        terminal.wait(PROMPT)
        terminal.send("what is it?\r")
        terminal.wait("a red car")
        terminal.wait("of 4,096")
        terminal.send("\x04")
        assert terminal.end() == 0
    with chat(tmp_path, "-c") as terminal:
        terminal.wait("1 questions so far")
        assert re.search(
            r"last question: what is it\?\s*\na red car\s*\n", terminal.wait("1 picture")
        )
        terminal.send(f"/save {tmp_path / 'talk.json'}\r")
        terminal.wait("saved to")
        terminal.send("/clear\r")
        terminal.wait("cleared")
        terminal.send(f"/load {tmp_path / 'talk.json'}\r")
        terminal.wait("loaded 1 questions, 1 pictures")
        terminal.send("/load nothing\r")
        terminal.wait("no session has the id 'nothing'")
        terminal.send("/exit\r")
        assert terminal.end() == 0


def test_a_forgetful_chat_leaves_nothing_behind(tmp_path: Path, user_folders: Path) -> None:
    with chat(tmp_path, "--no-history") as terminal:
        terminal.wait("not kept")
        terminal.send("a secret\r")
        terminal.wait("a red car")
        terminal.send("/exit\r")
        assert terminal.end() == 0
    files = [path for path in user_folders.rglob("*") if path.is_file()]
    assert not [path for path in files if b"secret" in path.read_bytes()]


def test_markdown_is_drawn_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    answer = (
        "# Report\n\nline one\nline two <b>bold</b> [link](http://x.example)\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```\n\n<div>html</div>\n\n"
        + "\n".join(f"{n}. item {n}" for n in range(1, 60))
    )
    with chat(tmp_path, rows=12, answer=answer) as terminal:
        terminal.wait(PROMPT)
        terminal.send("go\r")
        text = terminal.wait("item 59")
        terminal.wait(PROMPT, count=2)
        text = terminal.text
        terminal.send("/exit\r")
        assert terminal.end() == 0
    for piece in ("Report", "<b>bold</b>", "http://x.example", "print(1)", "<div>html</div>"):
        assert text.count(piece) == 1, piece
    assert re.search(r"line one\nline two", text)
    for number in range(1, 60):
        # That nothing is there twice is for tests/ui/test_stream.py, with a clock of its own.
        assert re.search(rf"\bitem {number}\b", text), number


def test_control_characters_of_the_model_do_not_reach_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x1b[31m \u202edesrever \x9b5n\rback `\x1b[5m` done"
    with chat(tmp_path, answer=evil) as terminal:
        terminal.wait(PROMPT)
        terminal.send("go\r")
        text = terminal.wait("done")
        terminal.send("/exit\r")
        assert terminal.end() == 0
        assert "\\x1b]0;owned\\x07\\x1b[2J\\x1b[31m" in text
        assert b"owned\x07" not in terminal.raw
        assert b"\x1b[5m" not in terminal.raw


def test_the_window_may_be_resized(tmp_path: Path) -> None:
    with chat(tmp_path, answer="word " * 60, pace=0.01) as terminal:
        terminal.wait(PROMPT)
        terminal.send("go\r")
        terminal.wait("word")
        terminal.resize(20, 50)
        terminal.wait("of 4,096 tokens")
        terminal.send("/help\r")
        terminal.wait("/exit")
        terminal.send("/exit\r")
        assert terminal.end() == 0


def test_completion_of_commands_and_paths(tmp_path: Path, photo: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.wait(PROMPT)
        terminal.send("/gr")
        terminal.wait("/ground PHRASE")
        terminal.send("\x15")
        terminal.send(f"/image {photo.parent}/a")
        terminal.wait(f"/image {photo.parent}/a")
        terminal.send("\t")
        terminal.wait(f"/image {photo}")  # in the line itself, not in the menu of candidates
        terminal.send("\r")
        terminal.wait("dvl2: attached")
        terminal.send("/exit\r")
        assert terminal.end() == 0


def test_boxes_are_listed_in_pixels(tmp_path: Path, photo: Path) -> None:
    answer = "<|ref|>car<|/ref|><|det|>[[0, 0, 999, 499]]<|/det|>"
    with chat(tmp_path, str(photo), answer=answer) as terminal:
        terminal.wait(PROMPT)
        terminal.send("/ground car\r")
        terminal.wait("(pixels of 60 x 40)")
        assert "car  0, 0 to 60, 20" in terminal.text
        assert "\N{UPPER HALF BLOCK}" in terminal.text
        terminal.send("/ground\r")
        terminal.wait("/ground needs a phrase")
        terminal.send("/exit\r")
        assert terminal.end() == 0


def test_a_picture_and_its_question_in_one_line_and_words_that_leave(
    tmp_path: Path, photo: Path
) -> None:
    log = tmp_path / "log"
    with chat(tmp_path, log=str(log)) as terminal:
        terminal.wait(PROMPT)
        terminal.send(f"'{photo}' what's this?\r")
        terminal.wait("a red car")
        terminal.send("exit\r")
        assert terminal.end() == 0
    assert log.read_text().splitlines() == ["<image> what's this?"]
    for word in ("quit", "/bye", "/quit"):
        with chat(tmp_path) as terminal:
            terminal.wait(PROMPT)
            terminal.send(f"{word}\r")
            assert terminal.end() == 0


def test_the_prompt_is_coloured_unless_colour_is_not_wanted(tmp_path: Path) -> None:
    coloured = re.compile(rb"\x1b\[[0-9;]*36[0-9;]*m>>>")
    for arguments, expected in (((), True), (("--no-color",), False)):
        with chat(tmp_path, *arguments) as terminal:
            terminal.wait(PROMPT)
            terminal.send("/exit\r")
            assert terminal.end() == 0
            assert bool(coloured.search(terminal.raw)) is expected
