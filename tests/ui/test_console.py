"""What is said on stderr: colour on a terminal alone, and the notice of nano once a day."""

from __future__ import annotations

import os
import sys
import time

import pytest

from dvl2_cli.options import CommonOptions
from dvl2_cli.ui.console import Console
from dvl2_cli.user_folders import state_folder


def said(capsys: pytest.CaptureFixture[str], **options: bool) -> str:
    console = Console(CommonOptions(**options))  # type: ignore[arg-type]
    console.note("a note")
    console.warn("doubtful")
    console.error("failed")
    return capsys.readouterr().err


def test_notes_are_dim_and_warnings_yellow_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = "dvl2: a note\ndvl2: warning: doubtful\ndvl2: failed\n"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert said(capsys) == plain
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert said(capsys) == (
        "\x1b[2mdvl2: a note\x1b[0m\n\x1b[33mdvl2: warning: doubtful\x1b[0m\ndvl2: failed\n"
    )
    assert said(capsys, no_color=True) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert said(capsys) == plain


def test_the_notice_of_nano_is_one_line_once_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    def notice() -> str:
        Console(CommonOptions()).note_nano()
        return capsys.readouterr().err

    assert "dvl2 pull tiny" in (line := notice())
    assert line.count("\n") == 1
    assert len(line) <= 80
    assert notice() == ""
    yesterday = time.time() - 25 * 3600
    os.utime(state_folder() / "nano_notice", (yesterday, yesterday))
    assert notice() == line
