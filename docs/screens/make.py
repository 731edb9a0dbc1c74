"""Pictures of dvl2 at work: every scene is a real run in a pseudo-terminal, exported by Rich.

    python docs/screens/make.py [SCENE...]

Writes docs/screens/SCENE.svg, and the picture that ``ground --draw`` makes as a PNG. It needs
the ``dev`` extra. Runs start from empty folders: no settings, no history, the bundled model.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from rich._export_format import CONSOLE_SVG_FORMAT  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.style import Style  # noqa: E402
from rich.terminal_theme import MONOKAI  # noqa: E402
from rich.text import Text  # noqa: E402

from tests.terminal import Terminal  # noqa: E402

COLUMNS, ROWS = 100, 30
SECONDS = 600.0  # for one answer, on a machine that has other work
PROMPT = ">>>"
PICTURES = "examples/pictures"
# Rich's SVG would fetch its font from a server.
SVG = re.sub(r"@font-face\s*\{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


class Screen:
    """One scene: commands typed one after the other, and what the terminal shows of them."""

    def __init__(self, home: Path) -> None:
        self.environment = environment(home)
        # Folders of this machine tell a reader nothing.
        self._short = {str(ROOT): "~/dvl2", str(home): "~"}
        self._lines: list[Text] = []

    def run(self, command: str, *typed: str) -> None:
        """Run ``command`` to its end; each of ``typed`` is a line for one prompt of it."""
        self._lines.append(Text(f"$ {command}", Style(bold=True)))
        words = ["-m", "dvl2_cli", *shlex.split(command)[1:]]
        terminal = Terminal(
            *words, rows=ROWS, columns=COLUMNS, env=self.environment, seconds=SECONDS
        )
        with terminal:
            for number, line in enumerate(typed, 1):
                terminal.wait(PROMPT, count=number)
                terminal.send(f"{line}\r")
            terminal.end()
            self._lines += _lines_of(terminal.screen, self._short)
        self._lines.append(Text())

    def save(self, name: str) -> Path:
        """Write the scene as ``name``.svg beside this file."""
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            # A column more than the terminal has: Rich's picture cuts the last one off.
            console = Console(record=True, width=COLUMNS + 1, file=nowhere, force_terminal=True,
                              color_system="truecolor")  # fmt: skip
            for line in self._lines[:-1]:
                console.print(line, overflow="crop", no_wrap=True, highlight=False)
            path = HERE / f"{name}.svg"
            console.save_svg(str(path), title=f"dvl2 {name}", theme=MONOKAI, code_format=SVG)
        return path


def _lines_of(screen: Any, short: dict[str, str]) -> list[Text]:
    """Everything on a pyte screen, scrolled lines too, without the blank ones at the end."""
    rows = [*screen.history.top, *(screen.buffer[row] for row in range(screen.lines))]
    lines = [_line(row, screen.columns, short) for row in rows]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    return lines


def _line(row: Any, columns: int, short: dict[str, str]) -> Text:
    line = Text()
    cells = [row[column] for column in range(columns)]
    for style, run in groupby(cells, _style):
        text = "".join(char.data for char in run)
        for folder, name in short.items():
            text = text.replace(folder, name)
        line.append(text, style)
    line.rstrip()
    return line


def _style(char: Any) -> Style:
    return Style(
        color=_colour(char.fg),
        bgcolor=_colour(char.bg),
        bold=char.bold,
        italic=char.italics,
        underline=char.underscore,
        reverse=char.reverse,
    )


def _colour(name: str) -> str | None:
    """Pyte's name of a colour as Rich's; pyte says brown for what all others call yellow."""
    if name == "default":
        return None
    if re.fullmatch("[0-9a-f]{6}", name):
        return f"#{name}"
    bright, _, plain = name.rpartition("bright")
    plain = plain.replace("brown", "yellow")
    return f"bright_{plain}" if bright or name.startswith("bright") else plain


def chat(screen: Screen) -> None:
    """A conversation."""
    screen.run(
        f"dvl2 chat {PICTURES}/scene.png",
        "Describe the picture.",
        "/ground star",
        "/exit",
    )


def presets(screen: Screen) -> None:
    """Single answers."""
    screen.run(f"dvl2 chat {PICTURES}/chart.png --preset chart-to-table -q")
    screen.run(f"dvl2 chat {PICTURES}/invoice.png -q --schema 'number, total' -p 'Read these.'")


def ocr(screen: Screen) -> None:
    """A page as text, with what it cost."""
    screen.run(f"dvl2 ocr {PICTURES}/letter.png --stats")


def ground(screen: Screen) -> None:
    """Boxes, drawn."""
    screen.run(f"dvl2 ground {PICTURES}/scene.png horse star --draw docs/screens/ground.png")


def caption(screen: Screen) -> None:
    """A sentence about a picture."""
    screen.run(f"dvl2 caption {PICTURES}/scene.png")


def plan(screen: Screen) -> None:
    """What a question would take."""
    screen.run(f"dvl2 ocr {PICTURES}/invoice.png --plan")


def history(screen: Screen) -> None:
    """Kept sessions."""
    for question in ("What colour is it?", "Is there a star?"):
        screen.run(f"dvl2 chat {PICTURES}/scene.png -q -p '{question}'")
    screen.run("dvl2 history")
    screen.run("dvl2 history search colour")


def warm(screen: Screen) -> None:
    """A model that stays loaded."""
    server = Terminal("-m", "dvl2_cli", "serve", env=screen.environment, seconds=SECONDS)
    with server:
        server.wait("warm at")
        screen.run(f"dvl2 chat {PICTURES}/scene.png -p 'What colour is it?' --stats")
        screen.run("dvl2 ps")
        screen.run("dvl2 ps --stop")


def checks(screen: Screen) -> None:
    """The installation, checked."""
    screen.run("dvl2 doctor")


def models(screen: Screen) -> None:
    """What is on this machine."""
    screen.run("dvl2 ls")
    screen.run("dvl2 show nano")


def settings(screen: Screen) -> None:
    """Where a value comes from."""
    screen.run("dvl2 config set tiles 4")
    screen.run("dvl2 config list")


def overview(screen: Screen) -> None:
    """Every command."""
    screen.run("dvl2 --help")


SCENES: dict[str, Callable[[Screen], None]] = {
    scene.__name__: scene
    for scene in (
        overview,
        chat,
        presets,
        ocr,
        ground,
        caption,
        plan,
        history,
        warm,
        models,
        settings,
        checks,
    )
}


def environment(home: Path) -> dict[str, str]:
    """The user's environment with empty folders for everything that dvl2 keeps."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("DVL2_")}
    own.pop("NO_COLOR", None)
    for kind in ("CONFIG", "DATA", "CACHE", "STATE"):
        own[f"XDG_{kind}_HOME"] = str(home / kind.lower())
    run = home / "run"
    run.mkdir(mode=0o700)
    return own | {
        "XDG_RUNTIME_DIR": str(run),
        "HF_HOME": str(home / "hub"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }


def main(names: list[str]) -> None:
    """Make the named scenes, or all."""
    os.chdir(ROOT)
    for name in names or SCENES:
        with tempfile.TemporaryDirectory() as home:
            screen = Screen(Path(home))
            SCENES[name](screen)
            path = screen.save(name)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
