"""Every slash command in a pseudo-terminal: what it says, what it asks, what it leaves."""

from __future__ import annotations

import json
import re
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from dvl2_cli.chatting.slash import COMMANDS
from tests.chatting.test_repl import PROMPT, chat, photo  # noqa: F401  photo is a fixture
from tests.terminal import Terminal

BOXES = "<|ref|>car<|/ref|><|det|>[[0, 0, 999, 499], [1, 2]]<|/det|>"


def leave(terminal: Terminal) -> None:
    terminal.send("/exit\r")
    assert terminal.end() == 0


def test_help_names_every_command(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.wait(PROMPT)
        terminal.send("/help\r")
        terminal.wait("is attached to the next question")
        for command in COMMANDS.values():
            assert command.usage in terminal.text
            assert command.help in terminal.text
        leave(terminal)


def test_image(tmp_path: Path, photo: Path) -> None:  # noqa: F811
    with chat(tmp_path, rows=60) as terminal:
        terminal.wait(PROMPT)
        terminal.send("/image\r")
        terminal.wait("no pictures yet: /image PATH")
        terminal.send(f"/image {photo.parent}/none.png\r")
        terminal.wait("no such file")
        (tmp_path / "words.png").write_text("hello")
        terminal.send(f"/image {tmp_path}/words.png\r")
        terminal.wait("is not a picture: it holds text")
        terminal.send(f"/image '{photo}' {tmp_path}/words.png\r")  # one is bad: none is taken
        terminal.wait("is not a picture", count=2)
        terminal.send(f"/image '{photo}' '{photo}'\r")
        terminal.wait("dvl2: attached", count=2)
        terminal.wait("2 pictures, 2 new")
        assert "\N{UPPER HALF BLOCK}" in terminal.text
        leave(terminal)


def test_images_are_not_shown_where_that_is_not_wanted(
    tmp_path: Path,
    photo: Path,  # noqa: F811
) -> None:
    with chat(tmp_path, str(photo), "--no-show-image", answer=BOXES) as terminal:
        terminal.wait(PROMPT)
        terminal.send("/ground car\r")
        terminal.wait("car  0, 0 to 60, 20")
        terminal.wait("rejected '[1, 2]': expected 4 numbers, got 2")
        assert "\N{UPPER HALF BLOCK}" not in terminal.text
        leave(terminal)


def test_ocr_and_ground_ask_apart_from_the_conversation(
    tmp_path: Path,
    photo: Path,  # noqa: F811
) -> None:
    log = tmp_path / "log"
    answers = {"Read the text": "INVOICE 42", "<|ref|>": BOXES, "why": "because"}
    with chat(tmp_path, str(photo), answer=answers, log=str(log), rows=70) as terminal:
        terminal.wait(PROMPT)
        terminal.send("/ocr\r")
        terminal.wait("INVOICE 42")
        terminal.send("/ground car\r")
        terminal.wait("(pixels of 60 x 40)")
        terminal.send("why?\r")
        terminal.wait("because")
        terminal.send("/undo\r")
        terminal.wait("forgot the question 'why?'")
        terminal.send("/undo\r")
        terminal.wait("nothing has been asked yet")
        leave(terminal)
    assert log.read_text().splitlines() == [
        "<image> Read the text in this image.",
        "<image> <|ref|>car<|/ref|>.",
        "<image> why?",  # the picture was still pending
    ]


def test_ocr_reads_by_lines_where_the_command_does(tmp_path: Path) -> None:
    page, log = tmp_path / "page.png", tmp_path / "log"
    image = Image.new("RGB", (400, 160), "white")
    for top, words in ((30, "INVOICE of a shop"), (100, "to be paid at once")):
        ImageDraw.Draw(image).text((20, top), words, "black", ImageFont.load_default(20))
    image.save(page)
    arguments = (str(page), "--no-show-image")
    with chat(
        tmp_path, *arguments, answer="some words", log=str(log), policy={"reads": "lines"}
    ) as terminal:
        terminal.wait(PROMPT)
        terminal.send("/ocr\r")
        assert re.search(r"\nsome words\s*\nsome words", terminal.wait("some words", count=2))
        leave(terminal)
    assert len(log.read_text().splitlines()) >= 2


def test_ground_looks_again_where_small_things_are_to_be_enlarged(
    tmp_path: Path,
    photo: Path,  # noqa: F811
) -> None:
    log = tmp_path / "log"
    arguments = (str(photo), "--no-show-image")
    policy = {"refine_boxes": True}
    with chat(tmp_path, *arguments, answer=BOXES, log=str(log), policy=policy) as terminal:
        terminal.wait(PROMPT)
        terminal.send("/ground car\r")
        terminal.wait("(pixels of 60 x 40)")
        leave(terminal)
    assert log.read_text().splitlines() == ["<image> <|ref|>car<|/ref|>."] * 2


def test_without_a_picture_ocr_and_ground_say_what_to_do(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.wait(PROMPT)
        for number, line in enumerate(("/ocr", "/ground car"), 1):
            terminal.send(f"{line}\r")
            terminal.wait("/image PATH, or drop a file here", count=number)
        leave(terminal)


def test_retry_before_any_question_and_commands_that_take_nothing(tmp_path: Path) -> None:
    with chat(tmp_path, rows=60) as terminal:
        terminal.wait(PROMPT)
        terminal.send("/retry\r")
        terminal.wait("nothing has been asked yet")
        for name in ("clear", "retry", "undo", "stats", "help", "exit", "ocr"):
            terminal.send(f"/{name} please\r")
            terminal.wait(f"/{name} takes nothing after it, got 'please'")
        leave(terminal)


def test_system_goes_with_every_question_until_it_is_taken_away(tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    with chat(tmp_path, "--system", "be brief") as terminal:
        terminal.wait(PROMPT)
        terminal.send("/system\r")
        terminal.wait("system prompt: be brief")
        terminal.send("/system be kind\r")
        terminal.wait("system prompt: be kind")
        terminal.send("hi\r")
        terminal.wait("a red car")
        terminal.send(f"/save {saved}\r")
        terminal.wait("saved to")
        terminal.send("/system -\r")
        terminal.wait("system prompt: none")
        leave(terminal)
    assert json.loads(saved.read_text())["system"] == "be kind"


def test_save_and_load(tmp_path: Path, photo: Path) -> None:  # noqa: F811
    with chat(tmp_path, str(photo), rows=60) as terminal:
        terminal.wait(PROMPT)
        terminal.send("what is it?\r")
        terminal.wait("a red car")
        terminal.send(f"/save {tmp_path / 'talk.md'}\r")
        terminal.wait("saved to")
        terminal.send("/save\r")
        terminal.wait("/save needs a file")
        terminal.send("/save /nowhere/at/all.json\r")
        terminal.wait("/nowhere/at")
        terminal.send("/load\r")
        terminal.wait("/load needs a file")
        terminal.send(f"/load {tmp_path / 'talk.md'}\r")
        terminal.wait("is no saved session")
        leave(terminal)
    text = (tmp_path / "talk.md").read_text()
    assert text == f"![]({photo})\n**what is it?**\n\na red car\n"


def test_tiles_stats_and_model(tmp_path: Path) -> None:
    with chat(tmp_path, rows=60) as terminal:
        terminal.wait(PROMPT)
        for given, said in (("", "the model's own rule"), (" auto", "auto"), (" 9", "9")):
            terminal.send(f"/tiles{given}\r")
            terminal.wait(f"local tiles per picture: {said}")
        terminal.send("/tiles 10\r")
        terminal.wait("/tiles 10: not a number of tiles")
        terminal.send("/tiles default\r")
        terminal.wait("local tiles per picture: the model's own rule", count=2)
        terminal.send("/stats\r")
        terminal.wait("timing is shown")
        terminal.send("hi\r")
        terminal.wait("per second")
        terminal.send("/stats\r")
        terminal.wait("timing is hidden")
        terminal.send("/model\r")
        terminal.wait("\ndvl2: model fake (test), none on cpu")
        terminal.send("/model\r")  # asked again, told again
        terminal.wait("\ndvl2: model fake (test), none on cpu", count=2)
        leave(terminal)


def test_ctrl_c_twice_in_an_answer_leaves(tmp_path: Path) -> None:
    with chat(tmp_path, answer="word " * 50, pace=0.1) as terminal:
        terminal.wait(PROMPT)
        terminal.send("go\r")
        terminal.wait("wo")
        terminal.send("\x03")
        terminal.wait("dvl2: stopped")
        terminal.send("\x03")
        terminal.wait("dvl2: cancelled")
        assert terminal.end() == 130
        assert "Traceback" not in terminal.text
