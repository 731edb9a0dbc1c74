"""No option is offered that a command does not obey."""

from __future__ import annotations

import pytest

from dvl2_cli.app import COMMANDS, load_command
from tests.commands.conftest import Cli


def options_of(name: str) -> set[str]:
    return {word for item in load_command(name, COMMANDS[name][0]).params for word in item.opts}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("serve", ("--zoom", "2")),
        ("serve", ("--server", "http://127.0.0.1:1")),
        ("serve", ("--plan",)),
        ("bench", ("--device", "cpu")),
        ("bench", ("--temperature", "1")),
        ("eval", ("--seed", "1")),
    ],
)
def test_an_option_without_effect_is_refused(
    cli: Cli, command: str, words: tuple[str, ...]
) -> None:
    done = cli(command, *words)
    assert done.code == 2
    assert words[0] in done.err


def test_what_is_obeyed_is_offered() -> None:
    assert {"--model", "--quant", "--max-memory", "--quiet"} <= options_of("serve")
    assert {"--model", "--quant", "--max-memory", "--threads"} <= options_of("bench")
    assert {"--model", "--tiles", "--zoom", "--server"} <= options_of("eval")
    assert {"--zoom", "--plan", "--seed", "--server"} <= options_of("ocr")
