"""Files at the beginning of what is typed at the prompt of chat."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvl2_cli.ui.dropped import split_files
from tests.commands.conftest import picture


@pytest.mark.parametrize(
    ("line", "files", "rest"),
    [
        ("a.png what's this?", ["a.png"], "what's this?"),
        ("a.png", ["a.png"], ""),
        ("'b c.png' and it's?", ["b c.png"], "and it's?"),
        (r"b\ c.png a.png which?", ["b c.png", "a.png"], "which?"),
        ('"b c.png"', ["b c.png"], ""),
        ("is a.png nice?", [], "is a.png nice?"),
        ("none.png nice?", [], "none.png nice?"),
        ("word nice?", [], "word nice?"),
        ("", [], ""),
        ("'open", [], "'open"),
    ],
)
def test_leading_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, files: list[str], rest: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b c.png"):
        picture(tmp_path / name)
    (tmp_path / "word").touch()
    assert split_files(line) == (files, rest)


def test_dropped_names(tmp_path: Path) -> None:
    path = picture(tmp_path / "b c.png")
    assert split_files(str(path)) == ([str(path)], "")
    assert split_files(f"file://{str(path).replace(' ', '%20')} why?") == ([str(path)], "why?")
