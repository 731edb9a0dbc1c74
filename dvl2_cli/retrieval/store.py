"""The text of pages that were read, kept by content, so that each page is read once.

An SQLite file in the user's cache folder, for its owner only. Every page is a transaction of its
own: after a kill at any moment the next run goes on with the pages that are missing. The file is
a cache: a damaged one is made anew, and where none can be written the pages are kept in memory.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dvl2_cli.user_folders import NoHomeError, cache_folder

_VERSION = 1
_LOCK_SECONDS = 10.0
# What nobody asked about for so long is forgotten.
_KEPT_SECONDS = 90 * 24 * 3600
_SCHEMA = (
    "CREATE TABLE page (sha256 TEXT, page INTEGER, reader TEXT, text TEXT NOT NULL,"
    " source TEXT NOT NULL, used REAL NOT NULL, PRIMARY KEY (sha256, page, reader)) WITHOUT ROWID",
    "CREATE TABLE document (sha256 TEXT PRIMARY KEY, pages INTEGER NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class KeptPage:
    """What was read of a page, and whether from its "layer" or its "pixels"."""

    text: str
    source: str


class PageStore:
    """The kept pages, by (SHA-256 of the file's bytes, page from 1 or 0 for a picture, reader).

    Args:
        path: of the file; None keeps the pages in memory alone.
        tell: is told why the file is not used, in one line.
    """

    def __init__(self, path: Path | None, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._db = self._opened(path)

    @classmethod
    def of_user(cls, tell: Callable[[str], None]) -> PageStore:
        """The store in the user's cache folder."""
        try:
            return cls(cache_folder() / "pages.sqlite", tell)
        except NoHomeError as error:
            tell(f"{error.message}: pages are read again by the next run")
            return cls(None, tell)

    def __enter__(self) -> PageStore:
        return self

    def __exit__(self, *error: object) -> None:
        self._db.close()

    def page(self, sha256: str, page: int, reader: str) -> KeptPage | None:
        """What ``reader`` read of a page; None where it has not."""
        key = (sha256, page, reader)
        query = "SELECT text, source FROM page WHERE sha256 = ? AND page = ? AND reader = ?"
        found = self._db.execute(query, key).fetchone()
        return None if found is None else KeptPage(*found)

    def count(self, sha256: str) -> int | None:
        """How many pages the document has, 0 for a picture; None where it was not gone through."""
        query = "SELECT pages FROM document WHERE sha256 = ?"
        found = self._db.execute(query, (sha256,)).fetchone()
        return None if found is None else int(found[0])

    def keep(self, sha256: str, page: int, reader: str, kept: KeptPage) -> None:
        """Keep a page; when this returns, a kill cannot lose it."""
        row = (sha256, page, reader, kept.text, kept.source, time.time())
        self._write("INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?, ?)", row)

    def keep_count(self, sha256: str, pages: int) -> None:
        """Keep how many pages a document has, now that all were gone through."""
        self._write("INSERT OR REPLACE INTO document VALUES (?, ?)", (sha256, pages))

    def touch(self, sha256: str) -> None:
        """Note that a document was asked about."""
        self._write("UPDATE page SET used = ? WHERE sha256 = ?", (time.time(), sha256))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            self._tell(f"cannot keep the pages that were read ({error}): they are read again")

    def _opened(self, path: Path | None) -> sqlite3.Connection:
        if path is not None:
            for _ in range(2):
                try:
                    return _open(path)
                except sqlite3.OperationalError as error:
                    self._tell(f"cannot keep pages in {path} ({error}): the next run reads again")
                    break
                except OSError as error:
                    reason = error.strerror or error
                    self._tell(f"cannot keep pages in {path} ({reason}): the next run reads again")
                    break
                except sqlite3.DatabaseError:
                    self._tell(f"{path} was damaged and is made anew: pages are read again")
                    for name in (path, *(Path(f"{path}-{end}") for end in ("wal", "shm"))):
                        name.unlink(missing_ok=True)
        db = sqlite3.connect(":memory:", isolation_level=None)
        _prepare(db)
        return db


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    # Each statement is a transaction.
    db = sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)
    try:
        with contextlib.suppress(sqlite3.OperationalError):  # another process is making it
            db.execute("PRAGMA journal_mode = WAL")
        _prepare(db)
        oldest = time.time() - _KEPT_SECONDS
        db.execute("DELETE FROM page WHERE used < ?", (oldest,))
        db.execute("DELETE FROM document WHERE sha256 NOT IN (SELECT sha256 FROM page)")
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != _VERSION:
        for name in ("page", "document"):
            db.execute(f"DROP TABLE IF EXISTS {name}")
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("COMMIT")
