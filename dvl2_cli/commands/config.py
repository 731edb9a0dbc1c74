"""``dvl2 config``: read and change the settings."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from dvl2_cli import completing
from dvl2_cli.errors import OutputError, UsageError
from dvl2_cli.results.records import Setting, SettingRow, SettingsPathRow, SettingsRow
from dvl2_cli.settings import RULES, load_settings, parse_value, rule_of, settings_path
from dvl2_cli.ui.control import one_line
from dvl2_cli.ui.output import Output

app = typer.Typer(add_completion=False)


class ConfigAction(StrEnum):
    """What to do with the settings."""

    list = "list"
    get = "get"
    set = "set"
    unset = "unset"
    path = "path"
    edit = "edit"


_TAKES = {ConfigAction.get: 1, ConfigAction.set: 2, ConfigAction.unset: 1}


@app.command()
def config(
    action: Annotated[
        ConfigAction, typer.Argument(metavar="ACTION", help="What to do.")
    ] = ConfigAction.list,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A setting.",
            autocompletion=completing.settings,
            show_default=False,
        ),
    ] = None,
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="VALUE",
            help="Its value.",
            autocompletion=completing.setting_values,
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read and change the settings.

    An option wins over a DVL2_* variable, a variable over the settings file, and the file over
    the default. `dvl2 config list` shows every value and where it comes from.

    Examples:
      dvl2 config
      dvl2 config set model tiny
      dvl2 config unset model
    """
    words = [word for word in (name, value) if word is not None]
    takes = _TAKES.get(action, 0)
    if len(words) != takes:
        usage = {0: "", 1: " NAME", 2: " NAME VALUE"}[takes]
        raise UsageError(f"config {action}: write `dvl2 config {action}{usage}`")
    if action is ConfigAction.list:
        _list(json)
    elif action is ConfigAction.get:
        _get(words[0], json)
    elif action is ConfigAction.set:
        _set(words[0], words[1], json)
    elif action is ConfigAction.unset:
        _unset(words[0], json)
    elif action is ConfigAction.path:
        _path(json)
    else:
        _edit()


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list(json: bool) -> None:
    settings = load_settings()
    rows = [Setting(name, getattr(settings, name), settings.source(name)) for name in RULES]
    if json:
        Output().json(SettingsRow(rows).as_json())
        return
    if not sys.stdout.isatty():
        for row in rows:
            Output().line(f"{row.name}\t{_shown(row.value)}\t{row.source}")
        return
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.console import Console
    from dvl2_cli.ui.control import printable
    from dvl2_cli.ui.tables import print_table

    cells = [
        tuple(
            printable(cell)
            for cell in (row.name, _shown(row.value), row.source, RULES[row.name].help)
        )
        for row in rows
    ]
    styles = ["dim" if row.source == "default" else "bold" for row in rows]
    headings = ("setting", "value", "from", "meaning")
    print_table(Console(CommonOptions()).rich_out(), headings, cells, styles=styles)


def _get(name: str, json: bool) -> None:
    rule_of(name, "config get")
    settings = load_settings()
    value = getattr(settings, name)
    if json:
        Output().json(SettingRow(name, value, settings.source(name)).as_json())
    elif value is not None:
        Output().line(_shown(value))


def _path(json: bool) -> None:
    path = settings_path()
    if json:
        Output().json(SettingsPathRow(path).as_json())
    else:
        Output().line(str(path))


def _set(name: str, text: str, json: bool) -> None:
    from dvl2_cli.settings_file import set_value

    value = parse_value(name, text, "config set")
    set_value(settings_path(), name, value)
    variable = f"DVL2_{name.upper()}"
    if os.environ.get(variable):
        typer.echo(f"dvl2: {variable} is set and wins over the file", err=True)
    if json:
        _get(name, json)


def _unset(name: str, json: bool) -> None:
    from dvl2_cli.settings_file import unset_value

    rule_of(name, "config unset")
    if not unset_value(settings_path(), name):
        typer.echo(f"dvl2: {name} was not in {one_line(str(settings_path()))}", err=True)
    if json:
        _get(name, json)


def _edit() -> None:
    path = settings_path()
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        finished = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot start the editor {editor!r}: {error}", "Set EDITOR.") from error
    if finished.returncode:
        raise OutputError(f"the editor {editor!r} ended with status {finished.returncode}")
    load_settings()
