"""The help screens at 80 columns: examples that are right, whole lines, no types of Python."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from dvl2_cli.app import COMMANDS, app
from tests.docs.shell import dvl2_calls
from tests.docs.test_commands import check

COLUMNS = 80


def screen(*command: str) -> str:
    done = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": str(COLUMNS)})
    assert done.exit_code == 0
    return done.output


def introduction(text: str) -> list[str]:
    """The paragraphs between the usage and the first panel."""
    head = text.split("\u256d", 1)[0]
    lines = [line.strip() for line in head.splitlines()]
    return "\n".join(lines).strip().split("\n\n")[1:]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_examples_that_it_takes(name: str) -> None:
    head = screen(name).split("\u256d", 1)[0]
    examples = [line.strip() for line in head.splitlines() if line.startswith("   dvl2 ")]
    assert len(examples) >= 2
    for example in examples:
        for call in dvl2_calls(example):
            check([word for word in call if word != "&"], complete=True)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_a_screen_names_values_and_wraps_well(name: str) -> None:
    text = screen(*([name] if name else []))
    assert re.findall(r"<\w[\w |\[\]]*>|x[<>]=|<=x", text) == []
    for paragraph in introduction(text):
        if not paragraph.startswith("Examples:"):
            *_, last = paragraph.splitlines()
            # A word alone on its line looks like a slip.
            assert " " in last, paragraph


def test_first_lines_say_what_a_pipe_gets() -> None:
    for name in ("ocr", "ground", "caption"):
        first = " ".join(" ".join(introduction(screen(name))[:2]).split())
        assert "In a pipe it prints a line of JSON" in first
        assert "-f text prints text there too" in first


def test_older_spellings_are_taken_and_not_shown() -> None:
    for words in (("quantize", "nano", "--to", "int8"), ("train", "data.jsonl", "--out", "run")):
        check(list(words), complete=True)
        assert f"{words[2]} " not in screen(words[0])


def test_what_is_long_is_wrapped() -> None:
    for name in COMMANDS:
        assert max(map(len, screen(name).splitlines())) <= COLUMNS
