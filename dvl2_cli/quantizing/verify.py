"""Are a pulled model's weights still what the hub publishes? Asked before hours go into them."""

from __future__ import annotations

from pathlib import Path

from dvl2_cli.errors import ModelError
from dvl2_cli.quantizing.conversion import file_hash
from dvl2_cli.store.places import ORIGINAL
from dvl2_cli.store.records import Record, StoredFile, read_record


def check_hashes(source: Path) -> None:
    """Compare the weights in ``source`` with the record of their pull; others have none.

    Raises:
        ModelError: a file is gone, unreadable, or differs.
    """
    record = read_record(source.parent) if source.name == ORIGINAL else None
    if record is None:
        return
    for stored in record.files:
        if stored.name.endswith(".safetensors"):
            _check(source / stored.name, stored, record)


def _check(path: Path, stored: StoredFile, record: Record) -> None:
    hint = f"Fetch it again: dvl2 rm {record.id}, then dvl2 pull {record.id}"
    try:
        same = path.stat().st_size == stored.size and file_hash(path) == stored.sha256
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint) from error
    if not same:
        raise ModelError(f"{path} is damaged: its SHA-256 is not that of the pulled file", hint)
