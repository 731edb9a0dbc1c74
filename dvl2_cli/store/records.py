"""The record of a pulled model: which commit, which files with which hashes, and since when."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dvl2_cli.files import atomic_write
from dvl2_cli.plain_file import read_plain_file
from dvl2_cli.store.names import HubId
from dvl2_cli.store.places import ORIGINAL, RECORD, commit_folder, in_models_folder
from dvl2_cli.units import Bytes, Sha256

_FORMAT = 1
_LARGEST_RECORD = 2**24  # bytes


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One verified file: ``size`` in bytes, ``sha256`` in hex."""

    name: str
    size: Bytes
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class Record:
    """A model that was pulled whole. Times are seconds since 1970."""

    id: str
    revision: str
    asked_revision: str
    licence: str | None
    pulled_at: float
    files: tuple[StoredFile, ...]

    @property
    def folder(self) -> Path:
        """The folder that holds the original and its quantised copies."""
        return commit_folder(HubId(self.id), self.revision)

    @property
    def original(self) -> Path:
        """The model as released; absent if only a quantised copy was kept."""
        return self.folder / ORIGINAL

    @property
    def used_at(self) -> float:
        """When a command last opened the model, or else when it was pulled."""
        with contextlib.suppress(OSError):
            return (self.folder / RECORD).stat().st_mtime
        return self.pulled_at

    def copies(self) -> dict[str, Path]:
        """Quantisation to folder, "none" being the original; only folders that exist."""
        found = {}
        if (self.original / "config.json").is_file():
            found["none"] = self.original
        for folder in sorted(self.folder.iterdir()):
            named = folder.name != ORIGINAL and "." not in folder.name
            if named and (folder / "config.json").is_file():
                found[folder.name] = folder
        return found


def write_record(record: Record) -> None:
    """Write the record in one step; from then on the model counts as pulled."""
    path = record.folder / RECORD
    with atomic_write(path) as stream:
        content = json.dumps({"format": _FORMAT, **asdict(record)}, indent=1)
        stream.write(content)


def read_record(folder: Path) -> Record | None:
    """The record in a commit's folder; None if there is none or it is not readable."""
    try:
        content = json.loads(read_plain_file(folder / RECORD, _LARGEST_RECORD))
        return _record(content)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def all_records() -> Iterator[Record]:
    """Every pulled model, last pulled first."""
    records = [read_record(path.parent) for path in in_models_folder(f"*/*/{RECORD}")]
    found = [record for record in records if record is not None and record.copies()]
    yield from sorted(found, key=lambda record: record.pulled_at, reverse=True)


def find_record(hub_id: HubId, revision: str | None = None) -> Record | None:
    """The newest pull of ``hub_id``; with ``revision`` (commit, its start, branch or tag) that."""
    for record in all_records():
        if record.id != hub_id.text:
            continue
        if revision is None or record.asked_revision == revision:
            return record
        if len(revision) >= 7 and record.revision.startswith(revision):
            return record
    return None


def mark_used(record: Record) -> None:
    """Remember that the model was opened now; where that cannot be written it does not matter."""
    with contextlib.suppress(OSError):
        os.utime(record.folder / RECORD, (time.time(), time.time()))


def _record(content: dict[str, Any]) -> Record:
    if content["format"] != _FORMAT:
        raise ValueError("written by another version")
    return Record(
        id=str(content["id"]),
        revision=str(content["revision"]),
        asked_revision=str(content["asked_revision"]),
        licence=content["licence"],
        pulled_at=float(content["pulled_at"]),
        files=tuple(
            StoredFile(str(file["name"]), int(file["size"]), str(file["sha256"]))
            for file in content["files"]
        ),
    )
