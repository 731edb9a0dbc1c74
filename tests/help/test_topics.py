"""``dvl2 help`` and the texts behind it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dvl2_cli import topics
from dvl2_cli.app import COMMANDS, load_command
from dvl2_cli.results.schemas import all_schemas
from dvl2_cli.settings import RULES
from dvl2_cli.topics import Topic, all_topics
from tests.commands.conftest import Cli, cli
from tests.terminal import Terminal

__all__ = ["cli"]

FOLDER = Path(topics.__file__).parent


def test_every_file_is_listed() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == set(topics.NAMES)


@pytest.mark.parametrize("topic", all_topics(), ids=lambda topic: topic.name)
def test_texts_have_a_name_a_summary_and_no_long_lines(topic: Topic) -> None:
    assert topic.text.startswith(f"# {topic.name}\n\n{topic.summary}\n\n")
    assert topic.text.endswith("\n")
    assert len(topic.summary) <= 65
    for line in topic.text.splitlines():
        assert len(line) <= 100 or line.startswith("|"), line


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """(command, words after it) of every dvl2 in code, up to a pipe or a remark."""
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^ {4}(.*)", text, re.MULTILINE)
    found = [re.search(r"\bdvl2 ([a-z]+)([^|;#>&]*)", piece) for piece in code]
    return [(match[1], match[2].split()) for match in found if match]


@pytest.mark.parametrize("topic", all_topics(), ids=lambda topic: topic.name)
def test_commands_and_options_in_the_texts_exist(topic: Topic) -> None:
    """A text that names what is gone is worse than none."""
    for name, words in commands_in(topic.text):
        assert name in COMMANDS, f"dvl2 {name}"
        params = load_command(name, COMMANDS[name][0]).params
        options = {option for item in params for option in item.opts} | {"--help"}
        for word in words:
            assert not re.match(r"--?[a-z]", word) or word in options, f"dvl2 {name} {word}"
        if name == "help" and words:
            assert words[0] in {*topics.NAMES, "TOPIC"}
        if name == "config" and words and words[0] in ("set", "unset", "get"):
            assert len(words) == 1 or words[1] in RULES


def test_every_exit_code_is_explained() -> None:
    from dvl2_cli import errors

    text = next(topic.text for topic in all_topics() if topic.name == "exit-codes")
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.Dvl2Error):
            (row,) = re.findall(rf"^\| {kind.exit_code} \|.*$", text, re.MULTILINE)
            assert kind is errors.Dvl2Error or kind.code in row


def test_the_json_topic_names_a_schema_that_exists() -> None:
    text = next(topic.text for topic in all_topics() if topic.name == "json")
    (name,) = re.findall(r'"schema":"(.*?)"', text)
    assert f"{name.replace('/', '.')}.json" in all_schemas()


def test_topics_are_listed_and_plain_in_a_pipe(cli: Cli) -> None:
    done = cli("help")
    assert done.code == 0
    for topic in all_topics():
        assert f"  {topic.name}" in done.out
        assert topic.summary in done.out
        assert cli("help", topic.name).out == topic.text


def test_help_of_a_command_and_of_nothing(cli: Cli) -> None:
    done = cli("help", "rm")
    assert done.code == 0
    assert "Usage: dvl2 rm" in done.out
    done = cli("help", "memroy")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean memory?" in done.err


def test_a_terminal_gets_markdown_rendered() -> None:
    with Terminal("-m", "dvl2_cli", "help", "json", columns=80) as terminal:
        assert terminal.end() == 0
        assert "## " not in terminal.text
        assert "finish_reason" in terminal.text
        assert b"\x1b[" in terminal.raw
