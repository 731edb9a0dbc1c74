"""The manual page, made from the commands themselves.

``python -m dvl2_cli.manual docs/man/dvl2.1`` writes it; a test holds the file to this module.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from dvl2_cli.app import COMMANDS, app, load_command
from dvl2_cli.files import atomic_write
from dvl2_cli.options import CommonOptions
from dvl2_cli.settings import RULES
from dvl2_cli.topics import all_topics

_VARIABLES = {
    "DVL2_CONFIG": "The settings file, instead of the one in the user's configuration folder.",
    "DVL2_MODELS": "Folder for pulled models.",
    "DVL2_SOCKET": "Socket of a warm model.",
    "DVL2_API_KEY": "Key for the server of --server.",
    "DVL2_KERNELS": "CPU kernels by name, as avx2 or neon-i8mm (dvl2 doctor lists them); or torch.",
    "HF_ENDPOINT": "Mirror of the model hub for dvl2 pull.",
    "NO_COLOR": "No colour.",
}
_SHARED = {item.name for item in fields(CommonOptions)}
# A command with fewer has some of the names for its own purposes.
_MIN_SHARED = 8


def manual_page() -> str:
    """The page in man's roff macros, without a date: it changes only with the commands."""
    return "".join(line + "\n" for line in _lines())


def _lines() -> Iterator[str]:
    root = typer.main.get_command(app)
    yield '.TH DVL2 1 "" "dvl2" "User Commands"'
    yield from _section("NAME")
    yield r"dvl2 \- DeepSeek\-VL2 on this machine"
    yield from _section("SYNOPSIS")
    yield r".B dvl2"
    yield r"COMMAND [OPTIONS] [ARGUMENTS]"
    yield from _section("DESCRIPTION")
    yield _escaped(root.help or "")
    above = typer.Context(root, info_name="dvl2")
    yield from _section("OPTIONS")
    for parameter in root.get_params(above):
        yield from _parameter(parameter, above)
    yield from _section("COMMANDS")
    shared: list[Any] = []
    for name, (module, _, _) in COMMANDS.items():
        command = load_command(name, module)
        context = typer.Context(command, info_name=name, parent=above)
        yield from _command(command, context, shared)
    yield from _section("SHARED OPTIONS")
    for parameter in shared:
        yield from _parameter(parameter, above)
    yield from _section("EXIT STATUS")
    yield from _exit_codes()
    yield from _section("ENVIRONMENT")
    yield from _environment()
    yield from _section("SEE ALSO")
    topics = ", ".join(topic.name for topic in all_topics())
    yield _escaped(f"dvl2 help TOPIC, where TOPIC is one of: {topics}.")


def _command(command: Any, context: Any, shared: list[Any]) -> Iterator[str]:
    """One command; the options that all models take are left in ``shared`` instead."""
    usage = command.get_usage(context).removeprefix("Usage:").strip()
    yield f".SS {_escaped(usage)}"
    for number, paragraph in enumerate((command.help or "").strip().split("\n\n")):
        if number:
            yield ".PP"
        yield from _paragraph(paragraph)
    parameters = [item for item in command.get_params(context) if item.name != "help"]
    taken = {item.name for item in parameters} & _SHARED
    is_shared = len(taken) >= _MIN_SHARED
    if len(taken) == len(_SHARED) and not shared:
        shared += [item for item in parameters if item.name in _SHARED]
    for parameter in parameters:
        if not (is_shared and parameter.name in _SHARED):
            yield from _parameter(parameter, context)
    if is_shared:
        yield ".PP"
        lacking = [f"--{name.replace('_', '-')}" for name in sorted(_SHARED - taken)]
        but = f", but not {', '.join(lacking)}" if lacking else ""
        yield _escaped(f"Also takes the shared options{but}.")


def _paragraph(text: str) -> Iterator[str]:
    """``text``; its indented lines, as examples are, as they stand."""
    first, *rest = text.splitlines()
    if not any(line.startswith(" ") for line in rest):
        yield _escaped(" ".join(text.split()))
        return
    yield _escaped(first)
    yield ".nf"
    yield from (_escaped(line) for line in rest)
    yield ".fi"


def _parameter(parameter: Any, context: Any) -> Iterator[str]:
    record = parameter.get_help_record(context)
    if record is None:
        return  # hidden: an old name that says the new one
    names, text = record
    yield ".TP"
    yield rf"\fB{_escaped(names)}\fR"
    yield _escaped(" ".join(str(text).split())) or r"\&"


def _exit_codes() -> Iterator[str]:
    """The rows of the topic's table."""
    text = next(topic.text for topic in all_topics() if topic.name == "exit-codes")
    for code, meaning in re.findall(r"^\| (\d+) \| (.*?) \|", text, re.MULTILINE):
        yield ".TP"
        yield rf"\fB{code}\fR"
        yield _escaped(meaning)


def _environment() -> Iterator[str]:
    named = {f"DVL2_{name.upper()}": rule.help for name, rule in RULES.items()}
    for name, meaning in (_VARIABLES | named).items():
        yield ".TP"
        yield rf"\fB{_escaped(name)}\fR"
        yield _escaped(meaning)


def _section(title: str) -> Iterator[str]:
    yield f".SH {title}"


def _escaped(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


def main(path: str) -> None:
    """Write the page to ``path``."""
    with atomic_write(Path(path)) as stream:
        stream.write(manual_page())


if __name__ == "__main__":
    main(sys.argv[1])
