"""Where settings, models and what dvl2 keeps lie, and whether they can be used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dvl2_cli.doctor.check import Check, Status, from_error, ok
from dvl2_cli.errors import Dvl2Error
from dvl2_cli.sizes import format_size
from dvl2_cli.user_folders import NoHomeError, data_folder, state_folder

GROUP = "folders"
# The copy of Tiny that runs: less than this and no model can be pulled at all.
_MIN_DISK = 2_000_000_000


def folder_checks() -> Iterator[Check]:
    """The settings file, and every folder that dvl2 reads or writes."""
    try:
        data_folder()
    except NoHomeError as error:
        yield Check(GROUP, "home", Status.WARNING, error.message, remedy=error.hint)
        return
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
    # The file is written anew beside the old one, so its folder is what counts.
    return _kept("settings", path.parent, "; ".join(changed) or None, found=where)


def _models() -> Check:
    from dvl2_cli.store.places import models_folder

    folder = models_folder()
    free = shutil.disk_usage(_existing(folder)).free
    found = f"{folder}, {format_size(free)} free"
    reason = "from DVL2_MODELS" if os.environ.get("DVL2_MODELS") else None
    if _closed(folder) is not None:
        remedy = "Set DVL2_MODELS to a folder of yours, or change its permissions."
        return Check(GROUP, "models", Status.WARNING, found, "it cannot be written", remedy)
    if free < _MIN_DISK:
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
    folder = state_folder()
    reason = "where a stopped run goes on, and what was typed in chat"
    return _kept("state", folder, reason, inside=True)


def _kept(
    name: str, path: Path, reason: str | None, *, found: str | None = None, inside: bool = False
) -> Check:
    shown = found or str(path)
    closed = _closed(path, inside=inside)
    if closed is None:
        return ok(GROUP, name, shown, reason)
    remedy = f"Change the permissions of {closed}."
    return Check(GROUP, name, Status.WARNING, shown, f"{closed} cannot be written", remedy)


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


def _closed(path: Path, *, inside: bool = False) -> Path | None:
    """What keeps ``path`` from being written: itself, its folder, or where it would be made.

    With ``inside`` also what lies in it, which another user may have made.
    """
    there = _existing(path)
    looked_at = [there] if there.is_dir() else [there.parent, there]
    if inside and there == path and there.is_dir() and os.access(there, os.R_OK):
        looked_at += sorted(there.iterdir())
    return next((item for item in looked_at if not _writable(item)), None)


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK if path.is_dir() else os.W_OK)
