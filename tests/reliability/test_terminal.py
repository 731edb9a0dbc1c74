"""Every way by which text of a model, a file or a hub reaches a terminal: nothing goes raw.

The commands run in a pseudo-terminal. What they say on their own account may have colours
and move the cursor; the sequences of ``NASTY`` are recognised wherever they come out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.commands.conftest import picture
from tests.commands.fake_process import FAKE, Process
from tests.reliability.nasty import NAME, NASTY, assert_clean, shown
from tests.store.tiny_checkpoint import write_checkpoint
from tests.terminal import Terminal

pytestmark = pytest.mark.slow  # many processes


def fake(folder: Path, *arguments: str) -> tuple[str, ...]:
    return (str(FAKE), str(folder / "script.json"), *arguments)


ANSWERED: tuple[tuple[str, ...], ...] = (
    ("ocr", "a.png", "-v", "--stats", "--show-prompt"),
    ("ocr", "a.png", "-f", "md"),
    ("ocr", "a.png", "-f", "html"),
    ("ocr", "a.png", "-f", "tsv"),
    ("ocr", "a.png", "--json"),
    ("ocr", "a.png", "--fields", NASTY, "--show-prompt"),
    ("caption", "a.png", "--prefix", NASTY),
    ("caption", "in", "-f", "text"),
    ("caption", "in", "-f", "csv"),
    ("caption", "in", "-o", "rows.csv"),
    ("caption", "in", "--sidecar", ".txt", "--template", "{name} {caption}"),
    ("caption", "in", "--avoid", "b", "--dry-run"),
    ("ground", "a.png", NASTY, "--show-prompt", "-v"),
    ("ground", "in", "car", "--json"),
    ("chat", "a.png", "-p", NASTY, "--show-prompt", "-v"),
    ("chat", "a.png", "-p", NASTY, "--no-color"),
    ("chat", "a.png", "-p", NASTY, "--json"),
    ("chat", "a.png", "-p", NASTY, "-x"),
)


@pytest.mark.parametrize("arguments", ANSWERED, ids=lambda words: " ".join(words[:4])[:30])
def test_answers_and_prompts(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "in" / "b.png").rename(tmp_path / "in" / f"{NAME}.png")
    (tmp_path / "in" / f"{NAME}.jpg").write_bytes(b"no picture\x1b[5;37m")
    raw = shown(*fake(tmp_path, *arguments), folder=tmp_path)
    assert raw


def test_labels_of_boxes(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    answer = f"<|ref|>{NASTY}<|/ref|><|det|>[[1, 2, 300, 400], [{NASTY}]]<|/det|>"
    process = Process(tmp_path, answer=answer)
    words = process.command("ground", "a.png", "car", "-v")[1:]
    with Terminal(*words, env=process.environment, cwd=tmp_path, seconds=60) as terminal:
        terminal.end()
        assert_clean(terminal.raw)
        assert b"A\\x1b" in terminal.raw


WRONG: tuple[tuple[str, ...], ...] = (
    ("ocr", f"{NAME}.png"),
    ("ocr", f"{NAME}*.png"),
    ("ocr", f"data:{NAME},"),
    ("ocr", f"http://127.0.0.1:9/{NASTY}"),
    ("ocr", "a.png", "-f", NAME),
    ("ocr", "a.png", "--pages", NAME),
    ("ocr", "a.png", "--schema", NAME),
    ("ocr", "a.png", "--dpi", NAME),
    ("ocr", "a.png", "-o", f"a.png/{NAME}"),
    ("ocr", f"--{NAME}"),
    (NAME,),
    ("caption", "a.png", "--template", f"{{{NAME}}}"),
    ("caption", "a.png", "-o", f"none/{NAME}"),
    ("chat", "a.png", "-p", "x", "-m", NAME),
    ("chat", "a.png", "-p", "x", "-m", f"./{NAME}"),
    ("chat", "-p", "x", "--preset", NAME),
    ("show", NAME),
    ("rm", NAME),
    ("pull", NAME),
    ("quantize", f"./{NAME}"),
    ("eval", NAME),
    ("train", NAME),
    ("history", "show", NASTY),
    ("config", "set", NAME, "1"),
    ("config", "set", "device", NAME),
    ("config", "get", NAME),
    ("serve", "--at", f"a.png/{NAME}"),
)


@pytest.mark.parametrize("arguments", WRONG, ids=lambda words: " ".join(words[:3])[:30])
def test_errors(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    picture(tmp_path / "a.png")
    shown("-m", "dvl2_cli", *arguments, folder=tmp_path)


def test_settings_and_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVL2_CONFIG", str(tmp_path / f"{NASTY.replace('/', '')}.toml"))
    picture(tmp_path / "a.png").rename(tmp_path / f"{NAME}.png")
    shown("-m", "dvl2_cli", "config", "set", "system", NASTY, folder=tmp_path, code=0)
    for action in ("list", "path"):
        shown("-m", "dvl2_cli", "config", action, folder=tmp_path, code=0)
    shown("-m", "dvl2_cli", "config", "get", "system", folder=tmp_path, code=0)
    asked = fake(tmp_path, "chat", f"{NAME}.png", "-p", f"word {NASTY}")
    shown(*asked, folder=tmp_path, code=0)
    listed = shown("-m", "dvl2_cli", "history", folder=tmp_path, code=0)
    found = re.search(rb"^\S+", listed)
    assert found
    for words in (("show", found[0].decode()), ("search", "word")):
        raw = shown("-m", "dvl2_cli", "history", *words, folder=tmp_path, code=0)
        assert b"A\\x1b" in raw


def test_models_on_this_machine(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / NASTY.replace("/", ""))
    (folder / "LICENSE").write_text(NASTY, encoding="utf-8")
    (folder / f"{NASTY.replace('/', '')}.json").write_text("{}", encoding="utf-8")
    raw = shown("-m", "dvl2_cli", "show", f"./{folder.name}", folder=tmp_path)
    assert b"\\x1b" in raw
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["model_type"] = config["language_config"]["topk_method"] = NASTY
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shown("-m", "dvl2_cli", "show", f"./{folder.name}", folder=tmp_path)
    picture(tmp_path / "a.png")
    shown("-m", "dvl2_cli", "ocr", "a.png", "-m", f"./{folder.name}", folder=tmp_path, code=3)
    shown("-m", "dvl2_cli", "ls", folder=tmp_path, code=0)
    shown("-m", "dvl2_cli", "ps", folder=tmp_path)


def test_a_conversation(tmp_path: Path) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / f"{NAME}.png")
    process = Process(tmp_path, answer=NASTY)
    environment = {**process.environment, "TERM": "xterm-256color"}
    words = process.command("chat", f"{NAME}.png", "--show-prompt", "-v")[1:]
    with Terminal(*words, env=environment, columns=200, cwd=tmp_path, seconds=60) as terminal:
        terminal.wait(">>>")
        # The name of the picture was shown before; each step shows it or the answer once more.
        for line, seen, count in (
            ("what?\r", "C\\x202eD", 2),
            ("/image\r", "C\\x202eD", 3),
            ("/ocr\r", "C\\x202eD", 4),
            ("/ground thing\r", "dvl2: ", 1),
            ("/load nowhere.json\r", "nowhere", 2),
            ("/retry\r", "again", 1),
        ):
            terminal.send(line)
            terminal.wait(seen, count=count)
        terminal.send("/exit\r")
        terminal.end()
        # prompt-toolkit edits the line with backspaces and asks where the cursor is.
        assert_clean(terminal.raw.replace(b"\x08", b"").replace(b"\x07", b""))
