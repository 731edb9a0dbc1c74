"""Where settings, models and what dvl2 keeps lie, and whether they can be used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dvl2_cli.doctor.check import Check, Status, from_error, ok
from dvl2_cli.errors import Dvl2Error
from dvl2_cli.planning.size import format_size

GROUP = "folders"
# The copy of Tiny that runs: less than this and no model can be pulled at all.
_LEAST_DISK = 2_000_000_000


def folder_checks() -> Iterator[Check]:
    """The settings file, and every folder that dvl2 reads or writes."""
    yield _settings()
    yield _models()
    yield _history()
    yield _state()
    yield _sockets()


def _settings() -> Check:
    from dvl2_cli.settings import RULES, load_settings, settings_path

    path = settings_path()
    try:
        settings = load_settings()
    except Dvl2Error as error:
        check = from_error(GROUP, "settings", error)
        remedy = check.remedy or "Correct it: dvl2 config edit"
        return Check(GROUP, "settings", Status.FAILED, check.found, remedy=remedy)
    changed = [
        f"{name} = {getattr(settings, name)} ({settings.source(name)})"
        for name in RULES
        if settings.source(name) != "default"
    ]
    where = f"{path}" if path.exists() else f"{path} (not there, so defaults hold)"
    return ok(GROUP, "settings", where, "; ".join(changed) or None)


def _models() -> Check:
    from dvl2_cli.store.places import models_folder

    folder = models_folder()
    free = shutil.disk_usage(_existing(folder)).free
    found = f"{folder}, {format_size(free)} free"
    reason = "from DVL2_MODELS" if os.environ.get("DVL2_MODELS") else None
    if not _writable(folder):
        remedy = "Set DVL2_MODELS to a folder of yours, or change its permissions."
        return Check(GROUP, "models", Status.WARNING, found, "it cannot be written", remedy)
    if free < _LEAST_DISK:
        remedy = "Free some space, or set DVL2_MODELS to a folder on another disk."
        return Check(GROUP, "models", Status.WARNING, found, "too little for any model", remedy)
    return ok(GROUP, "models", found, reason)


def _history() -> Check:
    from dvl2_cli.history.store import History, history_path

    path = history_path()
    if not path.exists():
        return _kept("chat history", path, "nothing is kept yet")
    try:
        with History() as history:
            last = history.last()
    except Dvl2Error as error:
        return Check(
            GROUP,
            "chat history",
            Status.FAILED,
            error.message,
            remedy=error.hint or f"Move {path} away: a new one is made.",
        )
    reason = None if last else "nothing is kept yet"
    return _kept("chat history", path, reason)


def _state() -> Check:
    from platformdirs import user_state_path

    folder = user_state_path("dvl2", appauthor=False)
    return _kept("state", folder, "where a stopped run goes on, and what was typed in chat")


def _kept(name: str, path: Path, reason: str | None) -> Check:
    if _writable(path):
        return ok(GROUP, name, str(path), reason)
    remedy = f"Change the permissions of {_existing(path)}."
    return Check(GROUP, name, Status.WARNING, str(path), "it cannot be written", remedy)


def _sockets() -> Check:
    from dvl2_cli.engine.remote.places import all_sockets, runtime_folder

    try:
        count = len(all_sockets())
    except Dvl2Error as error:
        return from_error(GROUP, "warm models", error)
    warm = f"{count} kept warm: dvl2 ps" if count else "none is kept warm"
    return ok(GROUP, "warm models", str(runtime_folder()), warm)


def _existing(path: Path) -> Path:
    """``path``, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _writable(path: Path) -> bool:
    return os.access(_existing(path), os.W_OK)
