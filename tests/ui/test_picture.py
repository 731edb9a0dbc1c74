from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.ui.picture import has_graphics
from tests.terminal import Terminal

SHOW = """
from PIL import Image
from rich.console import Console
from dvl2_cli.ui.picture import TerminalPicture
Console(force_terminal=True, color_system="truecolor").print(TerminalPicture(Image.open({!r})))
print("shown")
"""


class SixelTerminal(Terminal):
    """Answers "what are you?" as a terminal with sixels does, and tells its cells' size."""

    def _reply(self, data: str) -> None:
        super()._reply("\x1b[?62;4c" if data.endswith("c") else data)

    def _read(self) -> bool:
        before = len(self.raw)
        alive = super()._read()
        if b"\x1b[16t" in self.raw[before:]:
            self.process.send("\x1b[6;20;10t")
        return alive


@pytest.mark.parametrize(
    ("variables", "graphics"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "foot-extra"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, True),
        ({"TERM": "screen", "TERM_PROGRAM": "WezTerm", "TMUX": "/tmp/t"}, False),
        ({}, False),
    ],
)
def test_only_known_terminals_are_asked(variables: dict[str, str], graphics: bool) -> None:
    assert has_graphics(variables) == graphics


def _show(tmp_path: Path, kind: type[Terminal], term: str) -> Terminal:
    path = tmp_path / "photo.png"
    Image.effect_noise((60, 40), 90).convert("RGB").save(path)
    env = {name: value for name, value in os.environ.items() if name not in ("TMUX", "STY")}
    env |= {"TERM": term, "PYTHONPATH": str(Path(__file__).parents[2])}
    with kind("-c", SHOW.format(str(path)), env=env) as terminal:
        terminal.wait("shown")
        assert terminal.end() == 0
    return terminal


def test_half_blocks_without_asking(tmp_path: Path) -> None:
    terminal = _show(tmp_path, Terminal, "xterm-256color")
    assert "\N{UPPER HALF BLOCK}" in terminal.text
    assert b"\x1b[c" not in terminal.raw


def test_sixels_where_the_terminal_has_them(tmp_path: Path) -> None:
    terminal = _show(tmp_path, SixelTerminal, "foot")
    assert b"\x1bP" in terminal.raw
    assert "\N{UPPER HALF BLOCK}" not in terminal.text


def test_half_blocks_where_the_answer_is_no(tmp_path: Path) -> None:
    terminal = _show(tmp_path, Terminal, "foot")
    assert "\N{UPPER HALF BLOCK}" in terminal.text
    assert "Failed" not in terminal.text
