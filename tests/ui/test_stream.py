"""An answer drawn as Markdown while it grows, on a screen that is lower than it is long."""

from __future__ import annotations

import io
import random
import re

import pyte
import pytest
from rich.console import Console

from dvl2_cli.ui import stream
from dvl2_cli.ui.stream import MarkdownView

ROWS, COLUMNS = 12, 160
ANSWER = (
    "# Report\n\nline one\nline two <b>bold</b> [link](http://x.example)\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```\n\n<div>html</div>\n\n"
    + "\n".join(f"{n}. item {n}" for n in range(1, 60))
)


class Screen(io.StringIO):
    """A terminal to write to; ``text`` is what it shows, scrolled lines too."""

    def __init__(self) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(COLUMNS, ROWS, history=1000)
        self.stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        """Show ``text``; a terminal ends lines with both characters."""
        self.stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    @property
    def text(self) -> str:
        """All lines."""
        top = ["".join(line[at].data for at in range(COLUMNS)) for line in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*top, *self.screen.display])


class Clock:
    """Time in steps of a twentieth of a second: about every other piece is drawn."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        self.now += 0.05
        return self.now


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_shown_twice_or_lost(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "time", Clock())
    screen, rng = Screen(), random.Random(seed)
    screen.write("dvl2: /help shows the commands\n>>> go\n")
    view = MarkdownView(Console(file=screen, force_terminal=True, width=COLUMNS, height=ROWS))
    at = 0
    while at < len(ANSWER):
        length = rng.choice([1, 2, 3, 5, 8, 20])
        view.feed(ANSWER[at : at + length])
        at += length
    view.close()
    for piece in ("/help", "Report", "<b>bold</b>", "x.example", "print(1)", "<div>html</div>"):
        assert screen.text.count(piece) == 1, piece
    for number in range(1, 60):
        assert len(re.findall(rf"\bitem {number}\b", screen.text)) == 1, number
