"""Text that streams to a terminal, and messages that come in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import picture
from tests.commands.fake_process import Process
from tests.terminal import Terminal


def lines_of(tmp_path: Path, *words: str, **script: Any) -> list[str]:
    """What a terminal shows of ``dvl2 WORDS a.png``, the notes about the model left out."""
    picture(tmp_path / "a.png")
    process = Process(tmp_path, **script)
    command = process.command(words[0], "a.png", *words[1:])[1:]
    with Terminal(*command, env=process.environment, cwd=tmp_path, columns=200) as terminal:
        terminal.end()
        return terminal.text.splitlines()


@pytest.mark.parametrize("answer", ["Invoice 12\n41.20", "Invoice 12\n41.20\n"])
def test_timing_comes_on_a_line_of_its_own(tmp_path: Path, answer: str) -> None:
    shown = lines_of(tmp_path, "ocr", "--stats", answer=answer)
    assert shown[:2] == ["Invoice 12", "41.20"]
    assert shown[2].startswith("dvl2: ")
    assert "prompt tokens" in shown[2]
    assert len(shown) == 3


def test_notes_of_a_page_that_is_read_again_do_too(tmp_path: Path) -> None:
    shown = lines_of(tmp_path, "ocr", answer="over and over", finish_reason="loop")
    assert shown[0] == "over and over"
    assert shown[1].startswith("dvl2: the answer ran into a repetition")
    quiet = lines_of(tmp_path, "ocr", "-q", answer="over and over", finish_reason="loop")
    assert quiet[0] == "over and over"


def test_messages_put_nothing_into_data(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    process = Process(tmp_path, answer="Invoice 12")
    done = process.run("ocr", tmp_path / "a.png", "-f", "text", "--stats")
    assert done.stdout == b"Invoice 12\n"
    assert done.stderr.startswith(b"dvl2: ")


@pytest.mark.parametrize("more", [(), ("--prefix", "seen: ")])
def test_a_caption_is_shown_once(tmp_path: Path, more: tuple[str, ...]) -> None:
    shown = lines_of(tmp_path, "caption", *more, answer="A dog.")
    assert shown == [f"{''.join(more[1:])}A dog."]


def test_of_several_captions_each_is_shown_once_with_its_path(tmp_path: Path) -> None:
    picture(tmp_path / "b.png", "blue")
    shown = lines_of(tmp_path, "caption", "b.png", "-f", "text", answer="A dog.")
    assert shown[:2] == ["a.png: A dog.", "b.png: A dog."]
    assert shown[2].startswith("dvl2: 2 captioned")
    assert len(shown) == 3
