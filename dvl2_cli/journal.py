"""The journal of an unfinished run, so that a killed one goes on where it stopped.

One JSON line for each event, synced to disk before the event counts:

* ``run``: the settings' fingerprint; a journal of other settings is put aside;
* ``answer``: what was asked about (a picture's content and page), and the model's answer;
* ``write``: a file about to be replaced, for which picture, and its hash before.

A line cut off by the kill is dropped. The journal is deleted when the run is complete. Only
the places of answers are held in memory, so that it stays small however many there are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from filelock import BaseFileLock, Timeout

from dvl2_cli.errors import OutputError
from dvl2_cli.files import output_error
from dvl2_cli.locks import acquire_lock
from dvl2_cli.plain_file import check_plain_file


class JournalInUseError(OutputError):
    """Another run has the journal."""


class Journal:
    """What an earlier, interrupted run with the same settings already did.

    Raises:
        JournalInUseError: another run is using it.
        OutputError: the journal cannot be written.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self._fingerprint = fingerprint
        self._answers: dict[str, int] = {}
        self._writes: dict[str, tuple[str | None, str]] = {}
        self._end = 0
        self._turn = threading.Lock()
        self._lock: BaseFileLock | None = None
        self._files = contextlib.ExitStack()

    def __enter__(self) -> Journal:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = acquire_lock(self.path.with_name(f"{self.path.name}.lock"))
        except Timeout as error:
            raise JournalInUseError(
                f"another run is writing the same results ({self.path})", "Wait for it to end."
            ) from error
        except OSError as error:
            raise output_error(self.path, error) from error
        try:
            self._open()
        except BaseException:
            self._release()
            raise
        return self

    def _open(self) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                check_plain_file(self.path)
            # Answers may be private: nobody else reads them.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            # Unbuffered, so that after a failure nothing is left to be written once more.
            stream = os.fdopen(descriptor, "r+b", buffering=0)
            self._stream = self._files.enter_context(stream)
            self._reader: IO[bytes] = self._files.enter_context(self.path.open("rb"))
            self._end = self._load()
            self._stream.truncate(self._end)
            self._stream.seek(self._end)
        except OSError as error:
            raise output_error(self.path, error) from error
        if self._end == 0:
            self._append({"run": self._fingerprint})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    @property
    def resumed(self) -> int:
        """How many answers there are; those of an earlier run as long as this one added none."""
        return len(self._answers)

    def answer(self, key: str) -> dict[str, Any] | None:
        """The answer kept under ``key``, or None."""
        if key not in self._answers:
            return None
        try:
            with self._turn:
                self._reader.seek(self._answers[key])
                kept: dict[str, Any] = json.loads(self._reader.readline())["is"]
        except OSError as error:
            raise output_error(self.path, error) from error
        return kept

    def keep(self, key: str, answer: dict[str, Any]) -> None:
        """Record an answer; when this returns, a kill cannot lose it."""
        self._answers[key] = self._append({"answer": key, "is": answer})

    def writer_of(self, target: Path) -> str | None:
        """For which picture this run, or the interrupted one, wrote ``target``."""
        return self._writes.get(str(target), (None, None))[1]

    def already_written(self, target: Path, owner: str) -> bool:
        """Whether ``target`` has been replaced for ``owner``, by comparing its content."""
        before, writer = self._writes.get(str(target), (None, None))
        return writer == owner and digest_of(target) != before

    def about_to_write(self, target: Path, text: str, owner: str) -> None:
        """Record that ``target`` is going to be ``text``, for the picture ``owner``."""
        before = digest_of(target)
        self._writes[str(target)] = (before, owner)
        if before == hashlib.sha256(text.encode("utf-8", "replace")).hexdigest():
            return
        self._append({"write": str(target), "before": before, "for": owner})

    def complete(self) -> None:
        """The run is done: forget it."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        self._release()

    def _load(self) -> int:
        """Read the journal; return the length of its whole lines, 0 to start afresh."""
        whole = 0
        for line in self._reader:
            entry = _entry(line)
            if entry is None:
                break
            if whole == 0 and entry.get("run") != self._fingerprint:
                break
            self._take(entry, whole)
            whole += len(line)
        return whole

    def _take(self, entry: dict[str, Any], place: int) -> None:
        if "answer" in entry:
            self._answers[entry["answer"]] = place
        elif "write" in entry:
            self._writes[entry["write"]] = (entry.get("before"), entry.get("for", ""))

    def _append(self, entry: dict[str, Any]) -> int:
        """Write a line and sync it; where it starts."""
        with self._turn:
            return self._append_alone(entry)

    def _append_alone(self, entry: dict[str, Any]) -> int:
        line = json.dumps(entry).encode() + b"\n"
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._stream.write(rest) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            # Half a line would swallow the next one.
            with contextlib.suppress(OSError):
                self._stream.truncate(self._end)
            raise output_error(self.path, error) from error
        place, self._end = self._end, self._end + len(line)
        return place

    def _release(self) -> None:
        self._files.close()
        if self._lock is not None and self._lock.is_locked:
            # While it is still ours: afterwards it may be another's.
            with contextlib.suppress(OSError):
                Path(self._lock.lock_file).unlink()
            self._lock.release()


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
