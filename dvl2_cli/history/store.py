"""The kept sessions: save, load, list, search, delete."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from dvl2_cli.errors import UsageError
from dvl2_cli.history.database import Database
from dvl2_cli.history.images import add_pictures, drop_unused_images, pictures_of
from dvl2_cli.history.session import ChatSession, Turn
from dvl2_cli.row import JsonRow
from dvl2_cli.units import Count
from dvl2_cli.user_folders import data_folder

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class SessionSummary(JsonRow):
    """A session in a list; times are UTC in ISO 8601."""

    schema = "dvl2.history/1"
    heading = "One line of dvl2 history list --json"

    id: str
    created: str
    updated: str
    model: str
    turns: Count
    images: Count
    title: str


@dataclass(frozen=True, slots=True)
class Hit(JsonRow):
    """A turn that a search found; ``excerpt`` has the words between U+0001 and U+0002."""

    schema = "dvl2.history-hit/1"
    heading = "One line of dvl2 history search --json"

    session: str
    position: Count
    role: Literal["user", "assistant"]
    updated: str
    excerpt: str


def history_path() -> Path:
    """The history's file in the user's data folder."""
    return data_folder() / "history.db"


class History:
    """The sessions in the SQLite file at ``path``.

    Raises:
        OutputError: the file cannot be opened, made or written.
        InputError: it is no history, or a newer dvl2's.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._database = Database(path or history_path())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.connection.close()

    def save(self, session: ChatSession, model: str) -> None:
        """Keep ``session`` as it stands; a session without an id gets one."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        session_id = session.id or secrets.token_hex(4)
        with self._database.writing() as db:
            db.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
                "SET updated = excluded.updated, model = excluded.model, system = excluded.system",
                (session_id, now, now, model, _storable(session.system)),
            )
            same = _equal_turns(db, session_id, session.turns)
            db.execute("DELETE FROM turn WHERE session = ? AND position >= ?", (session_id, same))
            for position, turn in enumerate(session.turns[same:], same):
                cursor = db.execute(
                    "INSERT INTO turn (session, position, role, text, finish_reason) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (session_id, position, turn.role, _storable(turn.text), turn.finish_reason),
                )
                add_pictures(db, cursor.lastrowid or 0, turn.pictures)
            drop_unused_images(db)
        session.id = session_id

    def load(self, session_id: str) -> ChatSession:
        """The session whose id is or starts with ``session_id``.

        Raises:
            UsageError: none or several do.
        """
        found = self.find(session_id)
        with self._database.reading() as db:
            row = db.execute("SELECT system FROM session WHERE id = ?", (found,)).fetchone()
            rows = db.execute(
                "SELECT id, role, text, finish_reason FROM turn WHERE session = ? "
                "ORDER BY position",
                (found,),
            ).fetchall()
            turns = [
                Turn(role, text, tuple(pictures_of(db, turn)), reason)
                for turn, role, text, reason in rows
            ]
        return ChatSession((row and row[0]) or None, turns, id=found)

    def find(self, session_id: str) -> str:
        """The whole id of the session whose id starts with ``session_id``.

        Raises:
            UsageError: none or several do.
        """
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT id FROM session WHERE substr(id, 1, ?) = ? LIMIT 2",
                (len(session_id), _storable(session_id)),
            ).fetchall()
        if not session_id or len(rows) != 1:
            what = "more than one session" if session_id and rows else "no session"
            raise UsageError(f"{what} has the id {session_id!r}", "dvl2 history lists them.")
        return str(rows[0][0])

    def last(self) -> str | None:
        """The id of the session that was used last."""
        newest = self.summaries(1)
        return newest[0].id if newest else None

    def summaries(self, limit: int = -1) -> list[SessionSummary]:
        """The sessions, last used first; ``limit`` of -1 is all of them."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT s.id, s.created, s.updated, s.model, "
                "(SELECT count(*) FROM turn t WHERE t.session = s.id), "
                "(SELECT count(*) FROM turn t JOIN turn_image i ON i.turn = t.id "
                " WHERE t.session = s.id), "
                "coalesce((SELECT text FROM turn t WHERE t.session = s.id AND position = 0), '') "
                "FROM session s ORDER BY s.updated DESC, s.rowid DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [SessionSummary(*row) for row in rows]

    def search(self, words: str, limit: int = 50) -> list[Hit]:
        """The turns that hold every one of ``words``, best first; the last may be a beginning."""
        terms = [_storable(word).replace('"', '""').replace("\0", "") for word in words.split()]
        if not any(terms):
            return []
        # Quoted, so that no word is taken for an operator of the query language.
        query = " ".join(f'"{term}"' for term in terms if term) + "*"
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT t.session, t.position, t.role, s.updated, "
                "snippet(turn_text, 0, char(1), char(2), '…', 16) "
                "FROM turn_text JOIN turn t ON t.id = turn_text.rowid "
                "JOIN session s ON s.id = t.session "
                "WHERE turn_text MATCH ? ORDER BY bm25(turn_text), s.updated DESC LIMIT ?",
                (query, limit),
            ).fetchall()
        return [Hit(*row) for row in rows]

    def delete(self, session_id: str) -> None:
        """Remove a session, its words from the search, and pictures no other session has.

        Raises:
            UsageError: no such session.
        """
        found = self.find(session_id)
        with self._database.writing() as db:
            db.execute("DELETE FROM session WHERE id = ?", (found,))
            _drop_traces(db)
        self._database.shrink()

    def delete_all(self) -> list[str]:
        """Remove every session; the ids of those that there were."""
        with self._database.writing() as db:
            gone = [str(row[0]) for row in db.execute("SELECT id FROM session ORDER BY rowid")]
            db.execute("DELETE FROM session")
            _drop_traces(db)
        self._database.shrink()
        return gone


def _drop_traces(db: sqlite3.Connection) -> None:
    drop_unused_images(db)
    # The index only marks words as deleted until it is made anew.
    db.execute("INSERT INTO turn_text (turn_text) VALUES ('rebuild')")


def _equal_turns(db: sqlite3.Connection, session_id: str, turns: list[Turn]) -> int:
    """How many of the first turns are stored as they are."""
    stored = db.execute(
        "SELECT role, text, finish_reason, "
        "(SELECT group_concat(file_sha256 || coalesce(page, '')) FROM "
        " (SELECT * FROM turn_image i WHERE i.turn = turn.id ORDER BY i.position)) "
        "FROM turn WHERE session = ? ORDER BY position",
        (session_id,),
    ).fetchall()
    count = 0
    for row, turn in zip(stored, turns, strict=False):
        images = ",".join(f"{item.sha256}{item.page or ''}" for item in turn.pictures)
        if row != (turn.role, _storable(turn.text), turn.finish_reason, images or None):
            break
        count += 1
    return count


def _storable(text: str | None) -> str:
    """``text`` without the lone surrogates that a command line can hold and UTF-8 cannot."""
    return (text or "").encode("utf-8", "replace").decode()
