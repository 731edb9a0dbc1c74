"""A question about a folder: its pages are read once, the best are shown, the answer names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dvl2_cli.engine.request import Request
from tests.commands.conftest import Cli, picture
from tests.fakes import FakeEngine
from tests.inputs.pdfs import lines_of, text_document

PAID = ("Invoice 7 of Harbour Books", "was paid on the second of May", "Thank you very much")
OVERDUE = ("Invoice 9 of Hill Bakery", "is overdue since the third of June", "Please pay at once")
SWIFTS = ("The swifts came back to the tower", "and their calls fill the street", "each evening")
SCANNED = "Reminder to the Mill: the water rates are overdue"
READ = "Read the text"


def answering(answer: str | Callable[[Request], str] = "See [1].") -> FakeEngine:
    """Reads every picture as SCANNED, and answers questions with ``answer``."""

    def reply(request: Request) -> str:
        if READ in request.messages[-1].content:
            return SCANNED
        return answer if isinstance(answer, str) else answer(request)

    return FakeEngine(reply)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(text_document(lines_of(*PAID), lines_of(*OVERDUE)))
    (folder / "b.pdf").write_bytes(text_document(lines_of(*SWIFTS)))
    picture(folder / "c.png")
    return folder


def questions(engine: FakeEngine) -> list[Request]:
    return [item for item in engine.requests if READ not in item.messages[-1].content]


def test_the_best_pages_are_shown_and_named(cli: Cli, folder: Path) -> None:
    engine = answering("The bakery's [1].")
    words = ("chat", folder, "-p", "Which invoices are overdue?", "--top", "2", "--json")
    (row,) = cli(*words, engine=engine).rows
    pages = row["pages"]
    found = [(Path(page["source"]["path"]).name, page["source"]["page"]) for page in pages]
    assert found == [("a.pdf", 2), ("c.png", None)]
    assert [page["shown_as"] for page in pages] == ["text", "picture"]
    assert [page["named"] for page in pages] == [True, False]
    assert row["pages_searched"] == 4
    assert row["status"] == "ok"
    (request,) = questions(engine)
    asked = request.messages[-1].content
    assert "[1] a.pdf page 2:\nInvoice 9 of Hill Bakery" in asked
    assert asked.endswith("Which invoices are overdue?")
    assert SWIFTS[0] not in asked


def test_pages_are_read_once(cli: Cli, folder: Path) -> None:
    words = ("chat", folder, "-p", "Which rates are overdue?")
    first, second = answering(), answering()
    cli(*words, engine=first)
    assert sum(READ in item.messages[-1].content for item in first.requests) == 1
    cli(*words, engine=second)
    assert not any(READ in item.messages[-1].content for item in second.requests)
    picture(folder / "d.png", "lightgrey")
    third = answering()
    cli(*words, engine=third)
    assert sum(READ in item.messages[-1].content for item in third.requests) == 1


def test_a_scan_is_shown_as_a_picture_beside_text(cli: Cli, folder: Path) -> None:
    engine = answering()
    cli("chat", folder, "-p", "Reminder about water rates, or an overdue invoice?", engine=engine)
    message = questions(engine)[0].messages[-1]
    assert len(message.images) == 1
    assert "[1] c.png:\n<image>" in message.shown
    text = answering()
    cli("chat", folder, "-p", "water rates", "--pages-as", "text", engine=text)
    assert SCANNED in questions(text)[0].messages[-1].content


def test_the_pages_stand_under_the_answer(cli: Cli, folder: Path) -> None:
    done = cli("chat", folder, "-p", "overdue invoices", "--top", "2", engine=answering("The [1]."))
    assert done.out.endswith(f"The [1].\n\nPages:\n[1] {folder / 'a.pdf'} page 2\n")
    none = cli("chat", folder, "-p", "overdue", "--top", "2", engine=answering("The bakery's."))
    assert "Pages shown (the answer names none):\n[1] " in none.out


def test_a_page_that_was_not_shown_is_no_source(cli: Cli, folder: Path) -> None:
    words = ("chat", folder, "-p", "overdue invoices", "--top", "2", "--json")
    (row,) = cli(*words, engine=answering("See [1] and [7].")).rows
    assert row["warnings"] == ["the answer names [7], and no such page was shown"]
    assert [page["named"] for page in row["pages"]] == [True, False]


def test_no_match_is_one_line_and_all_of_few_pages_are_shown(cli: Cli, folder: Path) -> None:
    done = cli("chat", folder, "-p", "Wo ist das Xylophon?", "--top", "2", engine=answering())
    assert done.code == 5
    assert "none of 4 pages has a word of the question (Xylophon)" in done.err
    assert '--map "' in done.err
    (row,) = cli("chat", folder, "-p", "Xylophon?", "--json", engine=answering()).rows
    assert {page["found_by"] for page in row["pages"]} == {"all"}
    assert len(row["pages"]) == 4


def test_a_slip_of_the_pen_finds_parts_of_words(cli: Cli, folder: Path) -> None:
    words = ("chat", folder, "-p", "invioce of the bakkery", "--top", "1", "--json")
    (row,) = cli(*words, engine=answering()).rows
    assert row["pages"][0]["found_by"] == "parts"
    assert row["pages"][0]["source"]["page"] == 2


def test_what_does_not_fit_is_left_out_or_shown_in_part(cli: Cli, tmp_path: Path) -> None:
    many = ["the swifts came back to the old tower in May"] * 12
    path = tmp_path / "long.pdf"
    # Three pages: two are shown whole without a choice.
    contents = [lines_of(*many[:6], "overdue", *many[6:], top=280)] * 3
    path.write_bytes(text_document(*contents))
    engine = answering()
    engine.info = type(engine.info)("fake", None, "none", "cpu", 560, False, "test")
    (row,) = cli("chat", path, "-p", "overdue", "--json", engine=engine).rows
    assert [page["shown_as"] for page in row["pages"]] == ["part"]
    assert "longer than the context" in row["warnings"][0]
    assert "overdue" in questions(engine)[0].messages[-1].content.split("Answer from")[0]


def test_two_pictures_are_asked_about_as_pictures(cli: Cli, tmp_path: Path) -> None:
    picture(tmp_path / "few" / "a.png")
    picture(tmp_path / "few" / "b.png", "red")
    engine = FakeEngine("two")
    (row,) = cli("chat", tmp_path / "few", "-p", "What is this?", "--json", engine=engine).rows
    assert len(engine.requests) == 1
    assert engine.requests[0].messages[-1].content == "What is this?"
    assert len(row["sources"]) == 2


def test_a_file_that_cannot_be_read_does_not_end_it(cli: Cli, folder: Path) -> None:
    (folder / "z.pdf").write_bytes(b"%PDF-1.7 no more")
    done = cli("chat", folder, "-p", "overdue invoices", "--json", engine=answering())
    assert done.code == 0
    assert "z.pdf is a damaged PDF" in done.err
    assert "1 could not be read" in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--top", "2", "--preset", "describe"], "--top chooses the pages"),
        (["-p", "overdue", "--pages-as", "song"], "One of auto, pictures, text."),
        (["-p", "overdue", "--plan"], "--plan reads none"),
        (["--preset", "describe", "--pages-as", "text"], "--pages-as is about"),
    ],
)
def test_what_does_not_go_together(cli: Cli, folder: Path, options: list[str], said: str) -> None:
    done = cli("chat", folder, *options, engine=answering())
    assert done.code == 2
    assert said in done.err
