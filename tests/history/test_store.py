from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dvl2_cli.errors import InputError, OutputError, UsageError
from dvl2_cli.history.session import ChatSession
from dvl2_cli.history.store import History
from dvl2_cli.inputs.picture import Picture


def picture(seed: int = 0, page: int | None = None) -> Picture:
    image = Image.new("RGB", (9, 7), (seed, 20, 30))
    return Picture(image, f"photo{seed}.png", f"{seed:064x}", page, orientation_applied=True)


def test_a_session_comes_back_as_it_was(tmp_path: Path) -> None:
    session = ChatSession("be brief", pending=[picture(1), picture(2)])
    session.add("what is on these?", "a car", "stop")
    session.add("and the other?", "a dog", "length")
    with History(tmp_path / "h.db") as history:
        history.save(session, "fake")
        assert session.id is not None
    with History(tmp_path / "h.db") as history:
        loaded = history.load(session.id[:4])
        assert loaded.system == "be brief"
        assert [turn.text for turn in loaded.turns] == [turn.text for turn in session.turns]
        assert loaded.turns[3].finish_reason == "length"
        for mine, stored in zip(session.pictures(), loaded.pictures(), strict=True):
            assert stored.image.tobytes() == mine.image.tobytes()
            assert (stored.path, stored.sha256) == (mine.path, mine.sha256)
            assert stored.orientation_applied
        assert history.last() == session.id
        (summary,) = history.summaries()
        assert (summary.turns, summary.images, summary.title) == (4, 2, "what is on these?")
    assert (tmp_path / "h.db").stat().st_mode & 0o777 == 0o600


def test_saving_again_adds_only_what_is_new_and_forgets_what_was_undone(tmp_path: Path) -> None:
    with History(tmp_path / "h.db") as history:
        session = ChatSession(pending=[picture(1)])
        session.add("one?", "first", "stop")
        history.save(session, "fake")
        session.pending.append(picture(2))
        session.add("two?", "secondly", "stop")
        history.save(session, "fake")
        assert session.undo() == "two?"
        assert [item.path for item in session.pending] == ["photo2.png"]
        session.add("three?", "third", "stop")
        history.save(session, "fake")
        assert session.id is not None
        texts = [turn.text for turn in history.load(session.id).turns]
        assert texts == ["one?", "first", "three?", "third"]
        assert not history.search("secondly")
        assert len(history.search("thi")) == 1


def test_a_picture_is_stored_once_and_goes_with_its_last_session(tmp_path: Path) -> None:
    def stored() -> int:
        with sqlite3.connect(tmp_path / "h.db") as db:
            count = db.execute("SELECT count(*) FROM image").fetchone()[0]
        db.close()
        return int(count)

    with History(tmp_path / "h.db") as history:
        sessions = [ChatSession(pending=[picture(1), picture(seed)]) for seed in (1, 2)]
        for session in sessions:
            session.add("q", "a", "stop")
            history.save(session, "fake")
        assert stored() == 2
        history.delete(sessions[1].id or "")
        assert stored() == 1
        assert len(history.delete_all()) == 1
        assert stored() == 0


def test_deleted_text_is_gone_from_the_file(tmp_path: Path) -> None:
    with History(tmp_path / "h.db") as history:
        session = ChatSession()
        session.add("the password is xyzzyplugh", "noted: xyzzyplugh", "stop")
        history.save(session, "fake")
        history.delete(session.id or "")
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"xyzzyplugh" not in data


def test_search_folds_case_and_accents_and_ignores_operators(tmp_path: Path) -> None:
    with History(tmp_path / "h.db") as history:
        session = ChatSession()
        session.add("Où est le CAFÉ?", 'NEAR("the") AND sea', "stop")
        history.save(session, "fake")
        (hit,) = history.search("cafe")
        assert (hit.session, hit.role, hit.position) == (session.id, "user", 0)
        assert "\x01CAFÉ\x02" in hit.excerpt
        assert len(history.search('NEAR("the')) == 1
        assert not history.search("cafe sea")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(words=st.text(max_size=30), text=st.text(min_size=1, max_size=60))
def test_any_text_can_be_kept_and_any_words_searched(tmp_path: Path, words: str, text: str) -> None:
    with History(tmp_path / "h.db") as history:
        history.delete_all()
        session = ChatSession(text)
        session.add(text, text, "stop")
        history.save(session, "fake")
        loaded = history.load(session.id or "")
        assert loaded.turns == session.turns
        history.search(words)
        history.search(text)


def test_lone_surrogates_are_replaced(tmp_path: Path) -> None:
    with History(tmp_path / "h.db") as history:
        session = ChatSession("\udcff")
        session.pending.append(Picture(picture().image, "a\udcff.png", "0" * 64))
        session.add("\udcff", "a", "stop")
        history.save(session, "fake")
        history.save(session, "fake")
        assert history.load(session.id or "").pictures()[0].path == "a?.png"
        history.search("\udcff")


def test_ids_that_fit_none_or_many(tmp_path: Path) -> None:
    with History(tmp_path / "h.db") as history:
        for number in range(20):
            session = ChatSession()
            session.add(str(number), "a", "stop")
            history.save(session, "fake")
        with pytest.raises(UsageError, match="no session has the id 'zz'"):
            history.load("zz")
        with pytest.raises(UsageError, match="no session has the id ''"):
            history.load("")
        firsts = [summary.id[0] for summary in history.summaries()]
        double = next(first for first in firsts if firsts.count(first) > 1)
        with pytest.raises(UsageError, match="more than one session"):
            history.load(double)


def test_two_processes_may_write(tmp_path: Path) -> None:
    together = threading.Barrier(3)

    def write() -> None:
        together.wait()
        with History(tmp_path / "h.db") as history:
            for _ in range(10):
                session = ChatSession(pending=[picture(1)])
                session.add("q", "a", "stop")
                history.save(session, "fake")

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with History(tmp_path / "h.db") as history:
        assert len(history.summaries()) == 30


def test_unfit_files_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, it is a text of some length" * 9)
    with pytest.raises(InputError, match="cannot read the history"):
        History(tmp_path / "text.db")
    with pytest.raises(OutputError, match="cannot open the history"):
        History(tmp_path)
    db = sqlite3.connect(tmp_path / "new.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(InputError, match="newer dvl2"):
        History(tmp_path / "new.db")
