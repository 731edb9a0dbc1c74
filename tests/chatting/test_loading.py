"""A conversation whose model is still being loaded: the prompt is there, and answers wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.chatting.test_repl import PROMPT, chat

# Behind a spinner; the line below the prompt begins with these words.
WAITING = " loading the model"


def test_the_prompt_is_there_before_the_model(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with chat(tmp_path, gate=str(gate)) as terminal:
        terminal.wait(PROMPT)
        terminal.wait("loading the model")
        terminal.send("/tiles 3\r")
        terminal.wait("local tiles per picture: 3")
        terminal.send("what is it?\r")
        terminal.wait(WAITING)
        assert "a red car" not in terminal.text
        gate.touch()
        terminal.wait("a red car")
        terminal.wait("of 4,096 tokens")
        assert "loading the model" not in terminal.text
        terminal.send("/exit\r")
        assert terminal.end() == 0


def test_the_line_below_names_the_model_once_it_is_there(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with chat(tmp_path, gate=str(gate)) as terminal:
        terminal.wait("loading the model")
        gate.touch()
        terminal.wait("\nfake")
        assert "loading the model" not in terminal.text
        terminal.send("\x04")
        assert terminal.end() == 0


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script: dict[str, Any] = {"gate": str(gate), "broken": "the model is broken"}
    with chat(tmp_path, **script) as terminal:
        terminal.wait("loading the model")
        gate.touch()
        assert terminal.end() == 3
        assert terminal.text.count("dvl2: the model is broken") == 1
        assert "Traceback" not in terminal.text
    gate.unlink()
    with chat(tmp_path, **script) as terminal:
        terminal.wait("loading the model")
        terminal.send("what is it?\r")
        terminal.wait(WAITING)
        gate.touch()
        assert terminal.end() == 3
        assert terminal.text.count("dvl2: the model is broken") == 1


def test_ctrl_c_and_ctrl_d_do_not_wait_for_the_model(tmp_path: Path) -> None:
    script: dict[str, Any] = {"gate": str(tmp_path / "never")}
    with chat(tmp_path, **script) as terminal:
        terminal.wait("loading the model")
        terminal.send("what is it?\r")
        terminal.wait(WAITING)
        terminal.send("\x03")
        terminal.wait("not asked: the model is still being loaded")
        terminal.wait(PROMPT, count=2)
        terminal.send("\x04")
        assert terminal.end() == 0
    with chat(tmp_path, **script) as terminal:
        terminal.wait("loading the model")
        terminal.send("\x03")
        terminal.wait("Ctrl-C again, or Ctrl-D, ends the chat")
        terminal.send("\x03")
        assert terminal.end() == 130
        assert "dvl2: cancelled" in terminal.text
