"""The journal of an unfinished run, so that a killed one goes on where it stopped.

One JSON line for each event, synced to disk before the event counts:

* ``run``: the settings' fingerprint; a journal of other settings is put aside;
* ``answer``: a picture's content and page, with the answer that the model gave;
* ``write``: a sidecar about to be replaced, with the hash of its text before and after.

A line cut off by the kill is dropped. The journal is deleted when the run is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from filelock import FileLock, Timeout

from dvl2_cli.errors import OutputError
from dvl2_cli.files import output_error


class Journal:
    """What an earlier, interrupted run with the same settings already did.

    Raises:
        OutputError: the journal cannot be written, or another run is using it.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self._fingerprint = fingerprint
        self._answers: dict[str, dict[str, Any]] = {}
        self._writes: dict[str, tuple[str | None, str]] = {}
        self._stream: IO[bytes] | None = None
        self._lock = FileLock(f"{path}.lock")

    def __enter__(self) -> Journal:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                f"another run is writing the same captions ({self.path})", "Wait for it to end."
            ) from error
        except OSError as error:
            raise output_error(self.path, error) from error
        try:
            whole = self._load()
            self._stream = self.path.open("r+b" if self.path.exists() else "w+b")
            self._stream.truncate(whole)
            self._stream.seek(whole)
        except OSError as error:
            self._release()
            raise output_error(self.path, error) from error
        if whole == 0:
            self._append({"run": self._fingerprint})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
        self._release()

    @property
    def resumed(self) -> int:
        """How many answers an earlier run left."""
        return len(self._answers)

    def answer(self, key: str) -> dict[str, Any] | None:
        """The answer kept under ``key``, or None."""
        return self._answers.get(key)

    def keep(self, key: str, answer: dict[str, Any]) -> None:
        """Record an answer; when this returns, a kill cannot lose it."""
        self._answers[key] = answer
        self._append({"answer": key, "is": answer})

    def already_written(self, target: Path) -> bool:
        """Whether the interrupted run had replaced ``target``, by comparing its content."""
        if str(target) not in self._writes:
            return False
        before, _ = self._writes[str(target)]
        return digest_of(target) != before

    def about_to_write(self, target: Path, text: str) -> None:
        """Record that ``target`` is going to be ``text``."""
        after = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        before = digest_of(target)
        if before == after:
            return
        self._writes[str(target)] = (before, after)
        self._append({"write": str(target), "before": before, "after": after})

    def complete(self) -> None:
        """The run is done: forget it."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self.path.unlink(missing_ok=True)

    def _load(self) -> int:
        """Read the journal; return the length of its whole lines, 0 to start afresh."""
        if not self.path.exists():
            return 0
        whole = 0
        with self.path.open("rb") as stream:
            for line in stream:
                entry = _entry(line)
                if entry is None:
                    break
                if whole == 0 and entry.get("run") != self._fingerprint:
                    return 0
                self._take(entry)
                whole += len(line)
        return whole

    def _take(self, entry: dict[str, Any]) -> None:
        if "answer" in entry:
            self._answers[entry["answer"]] = entry["is"]
        elif "write" in entry:
            self._writes[entry["write"]] = (entry["before"], entry["after"])

    def _append(self, entry: dict[str, Any]) -> None:
        assert self._stream is not None  # noqa: S101  entered
        try:
            self._stream.write(json.dumps(entry).encode() + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise output_error(self.path, error) from error

    def _release(self) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


def _entry(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def digest_of(path: Path) -> str | None:
    """SHA-256 of a file's bytes, None if there is no file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
