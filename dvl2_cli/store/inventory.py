"""Everything that is on this machine: the bundled model, pulled ones, copies, unfinished pulls."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dvl2_cli.files import output_error
from dvl2_cli.store.copies import CONVERTED, copy_folder
from dvl2_cli.store.names import NANO_ID, HubId
from dvl2_cli.store.places import ORIGINAL, PARTIAL, RECORD, in_models_folder, nano_folder
from dvl2_cli.store.records import Record, all_records
from dvl2_cli.store.resolve import folder_quant

State = Literal["bundled", "pulled", "converted", "incomplete"]
_GOING = ".deleting"


@dataclass(frozen=True, slots=True)
class Copy:
    """One form of one model. ``size`` in bytes on disk, times in seconds since 1970."""

    id: str
    quant: str
    revision: str | None
    state: State
    folder: Path
    size: int
    pulled_at: float | None
    used_at: float | None

    @property
    def name(self) -> str:
        """What the user types for it."""
        return "nano" if self.id == NANO_ID else HubId(self.id).short


def all_copies() -> list[Copy]:
    """Every copy, the last pulled model first, the bundled one last."""
    found = [copy for record in all_records() for copy in _copies_of(record)]
    found += _unfinished()
    found += converted_copies()
    folder = nano_folder()
    if folder is not None:
        quant = folder_quant(folder)
        found.append(Copy(NANO_ID, quant, None, "bundled", folder, disk_size(folder), None, None))
    return found


def converted_copies() -> list[Copy]:
    """The quantised copies of nano and of the user's own folders."""
    folders = in_models_folder(f"{CONVERTED}/*/*")
    nano = nano_folder() if folders else None
    of_nano = copy_folder(nano, "int4").parent.name if nano is not None else None
    return [
        Copy(
            NANO_ID if folder.parent.name == of_nano else folder.parent.name,
            folder.name,
            None,
            "converted",
            folder,
            disk_size(folder),
            (folder / "config.json").stat().st_mtime,
            None,
        )
        for folder in folders
        if "." not in folder.name and (folder / "config.json").is_file()
    ]


def disk_size(folder: Path) -> int:
    """Bytes of the files in ``folder`` and below; files that go away meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def delete(copy: Copy) -> None:
    """Delete one copy; with the last copy of a revision, all that is left of it.

    It stops being a model in one step, before its files go.

    Raises:
        OutputError: no permission.
    """
    last = not _others(copy)
    folder = copy.folder.parent if last else copy.folder
    try:
        for leftover in in_models_folder(f"*/*{_GOING}"):  # of runs that were killed
            shutil.rmtree(leftover)
        if last:
            (folder / RECORD).unlink(missing_ok=True)
        going = copy.folder.parent.with_name(f"{copy.folder.parent.name}.{copy.quant}{_GOING}")
        folder.rename(going)
        shutil.rmtree(going)
        if last:
            _remove_empty(folder)
    except OSError as error:
        raise output_error(folder, error) from error


def _copies_of(record: Record) -> list[Copy]:
    return [
        Copy(
            record.id,
            quant,
            record.revision,
            "pulled",
            folder,
            disk_size(folder),
            record.pulled_at,
            record.used_at,
        )
        for quant, folder in record.copies().items()
    ]


def _unfinished() -> list[Copy]:
    copies = []
    for folder in in_models_folder(f"*/*/{PARTIAL}"):
        commit = folder.parent
        if commit.name.endswith(_GOING):
            continue
        model_id = commit.parent.name.replace("--", "/", 1)
        copies.append(
            Copy(model_id, "none", commit.name, "incomplete", folder, disk_size(folder), None, None)
        )
    return copies


def _others(copy: Copy) -> list[Path]:
    """The other copies of the same revision."""
    folders = [copy.folder.parent / ORIGINAL, *sorted(copy.folder.parent.glob("[!.]*"))]
    return [
        folder
        for folder in dict.fromkeys(folders)
        if folder != copy.folder and "." not in folder.name and (folder / "config.json").is_file()
    ]


def _remove_empty(commit_folder: Path) -> None:
    with contextlib.suppress(OSError):  # another revision lies there
        commit_folder.with_name(f"{commit_folder.name}.lock").unlink(missing_ok=True)
        commit_folder.parent.rmdir()
