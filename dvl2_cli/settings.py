"""Settings: flags over DVL2_* variables over a TOML file over defaults, each with its source."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli import setting_values
from dvl2_cli.errors import UsageError
from dvl2_cli.plain_file import read_plain_file
from dvl2_cli.texts import decode_text
from dvl2_cli.user_folders import NoHomeError, config_folder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT_SOURCE = "default"
_FLAG = "flag "
_LARGEST = 2**20  # bytes of a settings file


@dataclass(frozen=True, slots=True)
class SettingRule:
    """What a setting may be: its type, its choices, range or form, and what it is for.

    ``parse`` raises ValueError for text that is not of the form that ``form`` explains.
    """

    kind: type
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    parse: Callable[[str], object] | None = None
    form: str | None = None


def _setting(
    default: Any,
    kind: type,
    help_: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    parse: Callable[[str], object] | None = None,
    form: str | None = None,
) -> Any:
    rule = SettingRule(kind, help_, choices, minimum, maximum, parse, form)
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every value that outlives a command line; None means "decide for me".

    ``sources`` names where each value came from: "flag --quant", "DVL2_QUANT", the
    settings file's path and line, or "default".
    """

    model: str | None = _setting(None, str, "Folder, name or hub id of the model.")
    quant: str = _setting(
        "auto", str, "Weight format.", choices=("auto", "none", "int8", "int4", "nf4")
    )
    device: str = _setting(
        "auto",
        str,
        "auto, cpu, cuda, cuda:1 or mps.",
        parse=setting_values.device_of,
        form=setting_values.DEVICE_FORM,
    )
    adapter: str | None = _setting(None, str, "Folder of a LoRA adapter.")
    max_memory: str | None = _setting(
        None,
        str,
        "Most memory that the model may take, as 8GB.",
        parse=setting_values.size_of,
        form=setting_values.SIZE_FORM,
    )
    threads: int | None = _setting(None, int, "CPU threads.", minimum=1)
    tiles: str | None = _setting(
        None,
        str,
        "Most local tiles per image: 0 to 9, or auto.",
        parse=setting_values.tiles_of,
        form=setting_values.TILES_FORM,
    )
    zoom: str | None = _setting(
        None,
        str,
        "Enlarge images before tiling: a factor, or auto to enlarge small print.",
        parse=setting_values.zoom_of,
        form=setting_values.ZOOM_FORM,
    )
    max_tokens: int | None = _setting(None, int, "Longest answer, in tokens.", minimum=1)
    temperature: float | None = _setting(None, float, "0 is greedy.", minimum=0)
    top_p: float | None = _setting(None, float, "Nucleus.", minimum=0, maximum=1)
    seed: int | None = _setting(None, int, "Makes sampling repeatable.")
    server: str | None = _setting(
        None,
        str,
        "URL of an OpenAI-compatible server to ask.",
        parse=setting_values.url_of,
        form=setting_values.URL_FORM,
    )
    offline: bool = _setting(False, bool, "Never touch the network.")
    history: bool = _setting(True, bool, "Keep chat sessions on this machine.")
    system: str | None = _setting(None, str, "System prompt of chat.")
    show_images: bool = _setting(True, bool, "Show attached pictures in a conversation.")
    markdown: bool = _setting(True, bool, "Render answers as Markdown on a terminal.")
    idle_minutes: float = _setting(
        10.0, float, "Minutes without a request after which the warm model stops.", minimum=0.01
    )
    auto_serve: bool = _setting(
        False, bool, "Leave the model warm for the next commands, until it is idle."
    )
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    def source(self, name: str) -> str:
        """Where the value of ``name`` came from."""
        return self.sources.get(name, DEFAULT_SOURCE)


RULES: dict[str, SettingRule] = {
    item.name: item.metadata["rule"] for item in fields(Settings) if "rule" in item.metadata
}


def settings_path() -> Path:
    """The settings file: DVL2_CONFIG, or dvl2/settings.toml in the user's config folder.

    Raises:
        NoHomeError: the user has no such folder.
    """
    chosen = os.environ.get("DVL2_CONFIG")
    if chosen:
        return Path(chosen)
    return config_folder() / "settings.toml"


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the file and the environment; a missing file is no error.

    Raises:
        UsageError: the file is not TOML or a value is not what its setting takes; the
            message has the file and line, or the variable.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    with contextlib.suppress(NoHomeError):  # no folder, so no file
        for name, (value, source) in _from_file(path or settings_path()).items():
            values[name], sources[name] = value, source
    for name, (value, source) in _from_environment(environ or os.environ).items():
        values[name], sources[name] = value, source
    return Settings(**values, sources=sources)


def with_flags(settings: Settings, flags: DataclassInstance) -> Settings:
    """``settings`` with the members of ``flags`` that are settings, where given, laid over them."""
    names = {item.name for item in fields(flags)} & RULES.keys()
    values = {name: getattr(flags, name) for name in sorted(names)}
    given = {name: value for name, value in values.items() if not (value is None or value is False)}
    sources = {name: f"{_FLAG}--{name.replace('_', '-')}" for name in given}
    checked = {name: _check(name, value, sources[name]) for name, value in given.items()}
    return replace(settings, **checked, sources={**settings.sources, **sources})


def parse_value(name: str, text: str, where: str) -> Any:
    """The value of setting ``name`` written as ``text`` in the environment or on a command line.

    Raises:
        UsageError: no such setting, or not a value it takes; ``where`` starts the message.
    """
    rule = rule_of(name, where)
    if rule.kind is bool:
        known = {"1": True, "true": True, "yes": True, "on": True}
        known |= {"0": False, "false": False, "no": False, "off": False}
        value: Any = known.get(text.strip().lower(), text)
    elif rule.kind in (int, float):
        try:
            value = rule.kind(text)
        except ValueError:
            value = text
    else:
        value = text
    return _check(name, value, where)


def rule_of(name: str, where: str) -> SettingRule:
    """The rule of setting ``name``.

    Raises:
        UsageError: there is no such setting; a close one is named.
    """
    if name in RULES:
        return RULES[name]
    import difflib

    near = difflib.get_close_matches(name, RULES, n=1)
    hint = f"Did you mean {near[0]}?" if near else "dvl2 config list shows every setting."
    raise UsageError(f"{where}: there is no setting {name!r}", hint)


def _check(name: str, value: Any, where: str) -> Any:
    rule = RULES[name]
    # An option is named as it was typed; elsewhere the setting is.
    subject = where.removeprefix(_FLAG) if where.startswith(_FLAG) else f"{where}: {name}"
    if rule.kind is float and type(value) is int:
        value = float(value)
    if type(value) is not rule.kind:
        words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        raise UsageError(f"{subject} takes {words[rule.kind]}, not {value!r}")
    if rule.choices and value not in rule.choices:
        raise UsageError(f"{subject} is one of {', '.join(rule.choices)}, not {value!r}")
    if not _in_range(rule, value):
        bounds = [f"at least {rule.minimum:g}"] if rule.minimum is not None else []
        bounds += [f"at most {rule.maximum:g}"] if rule.maximum is not None else []
        raise UsageError(f"{subject} is {' and '.join(bounds)}, not {value!r}")
    if rule.parse is not None:
        try:
            rule.parse(str(value))
        except ValueError as error:
            raise UsageError(f"{subject} is {_shown(name, str(value))!r}", rule.form) from error
    return value


def _shown(name: str, value: str) -> str:
    """``value`` without the password that the URL of a server may have."""
    return value.rpartition("@")[2] if name == "server" else value


def _in_range(rule: SettingRule, value: Any) -> bool:
    low = rule.minimum is None or value >= rule.minimum  # NaN is in no range
    high = rule.maximum is None or value <= rule.maximum
    return bool(low and high)


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    found = {}
    for name in RULES:
        variable = f"DVL2_{name.upper()}"
        if environ.get(variable):
            found[name] = (parse_value(name, environ[variable], variable), variable)
    return found


def _from_file(path: Path) -> dict[str, tuple[Any, str]]:
    text = read_settings_text(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"^(.*) \(at line (\d+), column \d+\)$", str(error))
        reason, line = (match[1], f":{match[2]}") if match else (str(error), "")
        raise UsageError(f"{path}{line}: not valid TOML: {reason}", "dvl2 config edit") from error
    found = {}
    for name, value in table.items():
        where = f"{path}{_line_of(text, name)}"
        rule_of(name, where)
        found[name] = (_check(name, value, where), where)
    return found


def read_settings_text(path: Path) -> str:
    """The settings file's text; empty when there is no file.

    Raises:
        UsageError: the file cannot be read or is not UTF-8.
    """
    try:
        return decode_text(read_plain_file(path, _LARGEST))
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UsageError(f"cannot read the settings {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: the settings are not UTF-8 text") from error


def _line_of(text: str, name: str) -> str:
    pattern = rf"""^[ \t]*(?:\[+[ \t]*)?["']?{re.escape(name)}["']?[ \t]*[=.\]]"""
    match = re.search(pattern, text, re.MULTILINE)
    return f":{text.count(chr(10), 0, match.start()) + 1}" if match else ""
