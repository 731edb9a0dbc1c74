"""What history, settings and training print with ``--json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dvl2_cli.row import JsonRow

SettingValue = str | float | bool | None


@dataclass(frozen=True, slots=True)
class DeletedRow(JsonRow):
    """The ids of the sessions that were deleted."""

    schema = "dvl2.history-delete/1"
    heading = "The line of dvl2 history delete --json"

    deleted: list[str]


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One turn of a session; ``images`` are the paths of its pictures."""

    role: Literal["user", "assistant"]
    text: str
    finish_reason: str | None
    images: list[str]


@dataclass(frozen=True, slots=True)
class SessionRow(JsonRow):
    """A whole session."""

    schema = "dvl2.session/1"
    heading = "One line of dvl2 history show --json"

    id: str
    system: str | None
    turns: list[TurnRow]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting and where its value comes from."""

    name: str
    value: SettingValue
    source: str


class ConfigRow(JsonRow):
    """What the forms of ``dvl2 config`` share."""

    __slots__ = ()

    schema = "dvl2.config/1"
    heading = "The line of dvl2 config list, of get, set and unset, and of path, with --json"


@dataclass(frozen=True, slots=True)
class SettingsRow(ConfigRow):
    """All settings."""

    settings: list[Setting]


@dataclass(frozen=True, slots=True)
class SettingRow(ConfigRow):
    """One setting."""

    name: str
    value: SettingValue
    source: str


@dataclass(frozen=True, slots=True)
class SettingsPathRow(ConfigRow):
    """The path of the settings file."""

    path: Path


@dataclass(frozen=True, slots=True)
class TrainRow(JsonRow):
    """A thing that training wrote."""

    schema = "dvl2.train/1"
    heading = "One line of dvl2 train --json for each thing that was written"

    what: Literal["result", "merged", "plot"]
    path: Path
