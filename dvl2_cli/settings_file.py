"""Changing the settings file: one key at a time, comments and order kept, whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.errors import OutputError, UsageError
from dvl2_cli.files import atomic_write, output_error
from dvl2_cli.locks import acquire_lock
from dvl2_cli.settings import load_settings, read_settings_text

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_LOCK_SECONDS = 10.0


def set_value(path: Path, name: str, value: Any) -> None:
    """Write ``name = value`` into the settings file, which is made where there is none.

    Raises:
        UsageError: the file as it stands is not valid; it is left as it is. Or ``value`` is
            a name with bytes that are not UTF-8, which TOML cannot hold.
        OutputError: it cannot be written.
    """
    if str(value).encode("utf-8", "replace").decode() != str(value):
        raise UsageError(f"{name} is {value!r}: not UTF-8", "The settings file holds UTF-8 only.")
    with _locked(path):
        document = _read(path)
        document[name] = value
        _write(path, document)


def unset_value(path: Path, name: str) -> bool:
    """Remove ``name`` from the settings file; whether it was there.

    Raises:
        UsageError: the file as it stands is not valid; it is left as it is.
        OutputError: it cannot be written.
    """
    with _locked(path):
        document = _read(path)
        if name not in document:
            return False
        del document[name]
        _write(path, document)
    return True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two writers at once would each read the old file and one change would be lost.
        lock = acquire_lock(path.with_name(f".{path.name}.lock"), seconds=_LOCK_SECONDS)
    except TimeoutError as error:
        raise OutputError(
            f"another dvl2 process is writing {path}", "Try again when it is done."
        ) from error
    except OSError as error:
        raise output_error(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _read(path: Path) -> TOMLDocument:
    import tomlkit

    load_settings(path, {})  # a file with a mistake is reported, not rewritten
    return tomlkit.parse(read_settings_text(path))


def _write(path: Path, document: TOMLDocument) -> None:
    import tomlkit

    # A settings file linked from elsewhere (dotfiles) is changed there, not replaced here.
    target = path.resolve()
    if target.is_dir():
        raise UsageError(f"the settings {path} is a folder")
    with atomic_write(target, "wb") as stream:
        stream.write(tomlkit.dumps(document).encode())
