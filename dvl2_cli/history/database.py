"""The history's SQLite file: its tables, and failures in the user's words."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from dvl2_cli.errors import InputError, OutputError

_VERSION = 1
_LOCK_SECONDS = 10.0
_SCHEMA = """
CREATE TABLE session (
    id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL, model TEXT NOT NULL,
    system TEXT
);
CREATE TABLE turn (
    id INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES session ON DELETE CASCADE,
    position INTEGER NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL, finish_reason TEXT,
    UNIQUE (session, position)
);
CREATE TABLE image (sha256 TEXT PRIMARY KEY, png BLOB NOT NULL);
CREATE TABLE turn_image (
    turn INTEGER NOT NULL REFERENCES turn ON DELETE CASCADE, position INTEGER NOT NULL,
    image TEXT NOT NULL REFERENCES image, path TEXT NOT NULL, file_sha256 TEXT NOT NULL,
    page INTEGER, turned INTEGER NOT NULL, PRIMARY KEY (turn, position)
);
CREATE INDEX turn_image_image ON turn_image (image);
CREATE VIRTUAL TABLE turn_text USING fts5 (
    text, content = 'turn', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER turn_added AFTER INSERT ON turn BEGIN
    INSERT INTO turn_text (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER turn_removed AFTER DELETE ON turn BEGIN
    INSERT INTO turn_text (turn_text, rowid, text) VALUES ('delete', old.id, old.text);
END;
"""


class Database:
    """One connection to the file at ``path``, which is made, for its owner only, when missing.

    Raises:
        OutputError: the file cannot be opened or made.
        InputError: it is no history, or a newer dvl2's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            # Transactions are begun and ended here, not by the module.
            self.connection = sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise OutputError(f"cannot open the history {path}: {error}") from error
        try:
            self._prepare()
        except sqlite3.OperationalError as error:
            self.connection.close()
            raise OutputError(f"cannot open the history {path}: {error}") from error
        except sqlite3.DatabaseError as error:
            self.connection.close()
            raise self._broken(error) from error
        except BaseException:
            self.connection.close()
            raise

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is kept, or nothing.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise OutputError(f"cannot write the history {self.path}: {error}") from error

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, its failures in the user's words.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            yield self.connection
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from error

    def shrink(self) -> None:
        """Give what was deleted back to the disk, unless another process is reading."""
        with contextlib.suppress(sqlite3.OperationalError):
            self.connection.execute("VACUUM")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _prepare(self) -> None:
        db = self.connection
        _write_ahead(db)
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA secure_delete = ON")  # deleted text is overwritten, not just forgotten
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _statements(_SCHEMA):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute("COMMIT")
        if version > _VERSION:
            raise InputError(
                f"the history {self.path} is of a newer dvl2", "Update dvl2, or move the file away."
            )

    def _broken(self, error: sqlite3.DatabaseError) -> InputError:
        return InputError(
            f"cannot read the history {self.path}: {error}",
            "Move the file away to start a new one.",
        )


def _write_ahead(db: sqlite3.Connection) -> None:
    """Readers do not wait for writers. While another process makes the file, SQLite refuses the
    change at once instead of waiting as for other locks.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; triggers hold semicolons of their own."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
