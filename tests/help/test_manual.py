"""The manual page: that of the code, complete, and without faults for groff."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dvl2_cli.app import COMMANDS
from dvl2_cli.manual import manual_page

PAGE = Path(__file__).parents[2] / "docs" / "man" / "dvl2.1"


def test_the_page_is_that_of_the_commands() -> None:
    """Where this fails: python -m dvl2_cli.manual docs/man/dvl2.1."""
    assert PAGE.read_text(encoding="utf-8") == manual_page()


def test_every_command_and_shared_option_is_there_once() -> None:
    text = manual_page()
    for name in COMMANDS:
        assert text.count(f".SS dvl2 {name} ") == 1
    assert text.count(r"\-\-max\-memory") == 1
    assert ".TP\n\\fB130\\fR\n" in text


def test_groff_has_no_complaint() -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        [groff, "-man", "-ww", "-Tascii", str(PAGE)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "DVL2(1)" in done.stdout
