from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dvl2_cli.retrieval.index import PageIndex
from dvl2_cli.retrieval.store import KeptPage, PageStore
from dvl2_cli.retrieval.words import terms_of

PAGES = [
    ("acme.pdf", "Invoice 12 is due on 4 June. It is overdue since July."),
    ("letter.pdf", "Dear Sir, which of the swifts did you see?"),
    ("zh.pdf", "本发票的总金额为一百元,请在六月前付款"),
    ("ja.pdf", "請求書の合計金額は五千円です"),
    ("de.pdf", "Die Rechnungsnummer lautet 4711. Fällig am 3. Mai"),
    ("ru.pdf", "Счёт за электричество не оплачен"),
    ("th.pdf", "ใบแจ้งหนี้ค่าไฟฟ้า"),
]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("Which invoices are overdue?", "acme.pdf"),
        ("which", "letter.pdf"),  # nothing else is asked for
        ("发票的总金额是多少?", "zh.pdf"),
        ("合計金額はいくら", "ja.pdf"),
        ("Was ist fallig?", "de.pdf"),
        ("счет за электричество", "ru.pdf"),
        ("ค่าไฟฟ้า", "th.pdf"),
        ("acme", "acme.pdf"),
        ("Rechnungsnumer", "de.pdf"),
    ],
)
def test_the_best_page(question: str, found: str) -> None:
    with PageIndex(PAGES) as index:
        assert PAGES[index.best(question, 1)[0].place][0] == found


@pytest.mark.parametrize("question", ["", "?!", '"', "xyzzy", "NEAR(", "a* OR b^2 -c", "col:x"])
def test_questions_without_a_page_or_with_signs_of_the_query_language(question: str) -> None:
    with PageIndex(PAGES) as index:
        assert all(hit.by in ("words", "parts") for hit in index.best(question, 3))
    with PageIndex([]) as empty:
        assert empty.best(question, 3) == []


def test_stop_words_are_left_out_where_others_are_there() -> None:
    assert terms_of("Which of the invoices is overdue?") == ["invoices", "overdue"]
    assert terms_of("who is it") == ["who", "is", "it"]
    assert terms_of("发票 no") == ["发 票"]


def test_pages_outlive_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "pages.sqlite"
    code = (
        "import os, sys, pathlib\n"
        "from dvl2_cli.retrieval.store import KeptPage, PageStore\n"
        "store = PageStore(pathlib.Path(sys.argv[1]), print)\n"
        "store.keep('ab', 1, 'model', KeptPage('words', 'pixels'))\n"
        "os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(path)], check=False, cwd=root)
    with PageStore(path, pytest.fail) as store:
        assert store.page("ab", 1, "model") == KeptPage("words", "pixels")
        assert store.page("ab", 1, "another model") is None
        assert store.count("ab") is None
    assert path.stat().st_mode & 0o077 == 0


def test_a_damaged_store_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "pages.sqlite"
    path.write_bytes(b"no database " * 500)
    told: list[str] = []
    with PageStore(path, told.append) as store:
        store.keep("ab", 1, "model", KeptPage("words", "pixels"))
    assert told == [f"{path} was damaged and is made anew: pages are read again"]
    with PageStore(path, pytest.fail) as store:
        assert store.page("ab", 1, "model") is not None


def test_pages_are_kept_in_memory_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    told: list[str] = []
    with PageStore(tmp_path / "file" / "pages.sqlite", told.append) as store:
        store.keep("ab", 1, "model", KeptPage("words", "layer"))
        assert store.page("ab", 1, "model") is not None
    assert "the next run reads again" in told[0]


def test_what_nobody_asks_about_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "pages.sqlite"
    with PageStore(path, pytest.fail) as store:
        store.keep("ab", 1, "model", KeptPage("words", "layer"))
        store.keep_count("ab", 1)
    db = sqlite3.connect(path)
    db.execute("UPDATE page SET used = 0")
    db.commit()
    db.close()
    with PageStore(path, pytest.fail) as store:
        assert store.page("ab", 1, "model") is None
        assert store.count("ab") is None
