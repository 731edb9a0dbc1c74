"""Commands run in this process, against the fake engine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image, ImageDraw

from dvl2_cli.engine import opening
from tests.fakes import FakeEngine


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        import json

        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Done]


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> Cli:
    """``cli("ocr", "page.png", engine=FakeEngine(...))`` -> exit code, stdout, stderr."""
    from dvl2_cli.app import main

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*arguments: object, engine: FakeEngine | None = None) -> Done:
        used = engine or FakeEngine()
        monkeypatch.setattr(opening, "open_engine", lambda common: used)
        monkeypatch.setattr(sys, "argv", ["dvl2", *[str(item) for item in arguments]])
        code = 0
        try:
            main()
        except SystemExit as error:
            code = int(error.code or 0)
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return Done(code, captured.out.decode(), captured.err.decode())

    return run


def picture(path: Path, colour: str = "white", size: tuple[int, int] = (200, 100)) -> Path:
    """A picture file with a line of "text"; different colours give different contents."""
    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).rectangle((20, 20, size[0] - 20, 30), fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path
