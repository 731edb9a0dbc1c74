"""What -o names is what is written: a file of one format, a folder, or stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.chatting.test_repl import FAKE_CLI
from tests.commands.conftest import Cli, picture
from tests.commands.fake_process import Process
from tests.fakes import FakeEngine
from tests.terminal import Terminal

BOX = "<|ref|>car<|/ref|><|det|>[[0, 0, 999, 499]]<|/det|>"
COMMANDS = (("ocr",), ("ground", "car"), ("caption",))


def call(command: tuple[str, ...], page: Path, *more: object) -> tuple[object, ...]:
    name, *phrases = command
    return (name, page, *phrases, *more)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return picture(tmp_path / "page.png")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_called_json_is_json(
    cli: Cli, page: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    out = tmp_path / "out.json"
    done = cli(*call(command, page, "-o", out), engine=FakeEngine(BOX))
    assert (done.code, done.out) == (0, "")
    (row,) = json.loads(out.read_text())
    assert row["source"]["path"] == str(page)
    cli(*call(command, page, "-o", tmp_path / "out.ndjson"), engine=FakeEngine(BOX))
    (line,) = (tmp_path / "out.ndjson").read_text().splitlines()
    assert json.loads(line)["schema"] == row["schema"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_called_txt_is_text(
    cli: Cli, page: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    out = tmp_path / "result.txt"
    answer = BOX if command[0] == "ground" else "words"
    done = cli(*call(command, page, "-o", out), engine=FakeEngine(answer))
    assert (done.code, done.out) == (0, "")
    wanted = "car  0, 0 to 200, 50" if command[0] == "ground" else "words\n"
    assert out.read_text().startswith(wanted)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_suffix_is_refused_before_any_answer(
    cli: Cli, page: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    engine = FakeEngine()
    done = cli(*call(command, page, "-o", tmp_path / "out.doc"), engine=engine)
    assert done.code == 2
    assert "no format is called .doc" in done.err
    assert engine.requests == []
    assert not (tmp_path / "out.doc").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dash_is_stdout(cli: Cli, page: Path, command: tuple[str, ...]) -> None:
    (row,) = cli(*call(command, page, "-o", "-"), engine=FakeEngine(BOX)).rows
    assert row["source"]["path"] == str(page)


def test_one_file_is_for_one_document(cli: Cli, page: Path, tmp_path: Path) -> None:
    pages = [Image.new("RGB", (100, 140), colour) for colour in ("white", "red")]
    pages[0].save(tmp_path / "doc.pdf", save_all=True, append_images=pages[1:])
    out = tmp_path / "doc.json"
    cli("ocr", tmp_path / "doc.pdf", "-o", out, engine=FakeEngine("words"))
    assert [row["source"]["page"] for row in json.loads(out.read_text())] == [1, 2]
    engine = FakeEngine("words")
    done = cli("ocr", page, page, "-o", tmp_path / "a.txt", engine=engine)
    assert (done.code, engine.requests) == (2, [])
    assert "is one file, and there are several inputs" in done.err
    other = picture(tmp_path / "other.png", "red")
    done = cli("ocr", page, other, "-o", f"{tmp_path}/out.d/", engine=FakeEngine("words"))
    assert done.code == 0
    assert len(list((tmp_path / "out.d").iterdir())) == 2


def test_annotations_may_go_to_one_file(cli: Cli, page: Path, tmp_path: Path) -> None:
    out = tmp_path / "boxes.json"
    cli("ground", page, "car", "-f", "coco", "-o", out, engine=FakeEngine(BOX))
    assert json.loads(out.read_text())["images"][0]["file_name"] == "page.png"
    done = cli("ground", page, "car", "-f", "yolo", "-o", tmp_path / "a.txt")
    assert (done.code, "makes several files" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("command", "answer", "wanted"),
    [
        (("caption",), "a red car", "{a}: a red car\n{b}: a red car"),
        (("ocr",), "a red car", "{a}:\na red car\n\n{b}:\na red car"),
        (("ground", "car"), "none", "{a}:\nnothing found\n{b}:\nnothing found"),
    ],
)
def test_several_inputs_print_text_on_a_terminal(
    tmp_path: Path, command: tuple[str, ...], answer: str, wanted: str
) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / "in" / name)
    process = Process(tmp_path, answer=answer)
    words = [str(item) for item in call(command, tmp_path / "in")]
    arguments = [FAKE_CLI, str(tmp_path / "script.json"), *words]
    with Terminal(*arguments, env=process.environment, columns=200) as terminal:
        assert terminal.end() == 0
        text = terminal.text
    assert wanted.format(a=tmp_path / "in" / "a.png", b=tmp_path / "in" / "b.png") in text
    assert "{" not in text
