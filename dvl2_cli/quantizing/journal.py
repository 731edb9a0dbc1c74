"""What a conversion has finished: one JSON line each, so that a killed run can go on.

The first line names the source and the format; a journal of anything else is worthless and
is dropped. Then one line for each tensor with the CRC of what was written, and one for each
whole file with its SHA-256. A file's line is only written after its data were synced, and a
tensor's data are checked against its CRC before a resumed run believes it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class FinishedTensor:
    """A tensor that was written; ``squares`` as in ``Packed``, zero for unpacked tensors."""

    key: str
    crc: int
    squares: float
    squared_error: float


class ConversionJournal:
    """The lines of a conversion in ``folder``.

    Args:
        folder: of the unfinished copy.
        identity: what a run must share with the journal to go on with it.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self._path = folder / JOURNAL
        self.tensors: dict[str, FinishedTensor] = {}
        self.files: dict[str, str] = {}
        # What a reader parsed is compared, so that tuples and lists are alike.
        wanted = json.loads(json.dumps(identity))
        self.resumed = self._read(wanted)
        if not self.resumed:
            self.tensors.clear()
            self.files.clear()
            self._path.unlink(missing_ok=True)
        self._stream = self._path.open("a", encoding="utf-8")
        if not self.resumed:
            self._write({"identity": wanted}, sync=True)

    def add_tensor(self, finished: FinishedTensor) -> None:
        """Record a tensor whose data were handed to the system."""
        self.tensors[finished.key] = finished
        self._write({"tensor": asdict(finished)}, sync=False)

    def add_file(self, name: str, sha256: str) -> None:
        """Record a file whose data are on the disk."""
        self.files[name] = sha256
        self._write({"file": name, "sha256": sha256}, sync=True)

    def close(self) -> None:
        """Close the file; the journal stays."""
        self._stream.close()

    def remove(self) -> None:
        """Close and delete the journal of a finished conversion."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _read(self, wanted: dict[str, Any]) -> bool:
        try:
            lines = self._path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return False
        for number, line in enumerate(lines):
            try:
                entry = json.loads(line)
            except ValueError:
                # The last line of a killed run may be cut short.
                break
            if number == 0:
                if entry.get("identity") != wanted:
                    return False
            elif "tensor" in entry:
                finished = FinishedTensor(**entry["tensor"])
                self.tensors[finished.key] = finished
            else:
                self.files[entry["file"]] = entry["sha256"]
        self._end_cut_line(lines)
        return bool(lines)

    def _end_cut_line(self, lines: list[str]) -> None:
        if lines and not self._path.read_bytes().endswith(b"\n"):
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write("\n")

    def _write(self, entry: dict[str, Any], *, sync: bool) -> None:
        self._stream.write(json.dumps(entry) + "\n")
        self._stream.flush()
        if sync:
            os.fsync(self._stream.fileno())
