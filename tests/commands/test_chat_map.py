"""Every page is asked, and the answers are joined in as many steps as the context asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dvl2_cli.engine.request import Request
from tests.commands.conftest import Cli, picture
from tests.fakes import FakeEngine
from tests.inputs.pdfs import LETTER, lines_of, text_document

MAP, REDUCE = "Which dates are here?", "Put them in order."


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.pdf"
    pages = [lines_of(*LETTER, f"page {number}") for number in "abc"]
    path.write_bytes(text_document(*pages))
    return path


def engine(context_length: int = 4096) -> FakeEngine:
    def answer(request: Request) -> str:
        content = request.messages[-1].content
        if REDUCE in content:
            return f"joined {content.count(':')} [1]"
        more = " one two three four five six seven" * (context_length < 4096)
        return (
            more.strip() + "dates of " + content.split("page ")[-1][:1]
            if "page " in content
            else "of pixels"
        )

    made = FakeEngine(answer)
    made.info = replace(made.info, context_length=context_length)
    return made


def test_each_page_is_asked_by_itself(cli: Cli, report: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "scan.png")
    used = engine()
    done = cli("chat", report, image, "--map", MAP, engine=used)
    assert done.out == "".join(
        [f"{report} page {n}:\ndates of {c}\n\n" for n, c in enumerate("abc", 1)]
        + [f"{image}:\nof pixels\n\n"]
    )
    assert [len(item.messages[-1].images) for item in used.requests] == [0, 0, 0, 1]
    rows = cli("chat", report, "--map", MAP, "--json", engine=engine()).rows
    assert [row["source"]["page"] for row in rows] == [1, 2, 3]
    pixels = engine()
    cli("chat", report, "--map", MAP, "--pages-as", "pictures", engine=pixels)
    assert [len(item.messages[-1].images) for item in pixels.requests] == [1, 1, 1]


def test_the_answers_are_joined_with_their_pages(cli: Cli, report: Path) -> None:
    used = engine()
    words = ("chat", report, "--map", MAP, "--reduce", REDUCE)
    done = cli(*words, engine=used)
    assert done.out == f"joined 3 [1]\n\nPages:\n[1] {report} page 1\n"
    assert "[2] report.pdf page 2:\ndates of b" in used.requests[-1].messages[-1].content
    last = cli(*words, "--json", engine=engine()).rows[-1]
    assert last["pages_searched"] == 3
    assert [page["named"] for page in last["pages"]] == [True, False, False]


def test_what_does_not_fit_is_joined_in_steps_and_nothing_is_cut(cli: Cli, report: Path) -> None:
    used = engine(context_length=512 + 40)
    done = cli("chat", report, "--map", MAP, "--reduce", REDUCE, "--pages-as", "text", engine=used)
    asked = [
        item.messages[-1].content for item in used.requests if REDUCE in item.messages[-1].content
    ]
    assert len(asked) == 3
    assert all(any(f"dates of {c}" in item for item in asked) for c in "abc")
    assert "3 answers do not fit the context: joined to 2 first" in done.err


def test_a_page_that_fails_is_said_to_be_missing(cli: Cli, report: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG no more")
    done = cli("chat", report, broken, "--map", MAP, "--reduce", REDUCE, "--json", engine=engine())
    assert done.code == 1
    assert [row["status"] for row in done.rows] == ["ok", "ok", "ok", "failed", "partial"]
    assert done.rows[-1]["warnings"] == ["1 pages failed and are missing from the answer"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--reduce", REDUCE, "--preset", "vqa"], "--reduce joins the answers of --map"),
        (["--map", MAP, "-p", "What?"], "--prompt is for one question"),
        (["--map", MAP, "--top", "3"], "--top is for one question"),
        (["--map", MAP, "--plan"], "--plan is for one question"),
    ],
)
def test_what_does_not_go_together(cli: Cli, report: Path, options: list[str], said: str) -> None:
    done = cli("chat", report, *options, engine=engine())
    assert done.code == 2
    assert said in done.err
