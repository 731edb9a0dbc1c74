from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import Cli, picture
from tests.fakes import FakeEngine
from tests.inputs.pdfs import LETTER, lines_of, text_document

SOUND, HIDDEN, EMPTY = lines_of(*LETTER), lines_of(*LETTER, before=b"3 Tr"), b"0 0 50 50 re f"
TEXT = "\n".join(LETTER)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.pdf"
    path.write_bytes(text_document(SOUND, HIDDEN, EMPTY))
    return path


def test_each_page_says_where_its_text_comes_from(cli: Cli, mixed: Path) -> None:
    engine = FakeEngine("read from pixels")
    done = cli("ocr", mixed, "--dpi", 60, engine=engine)
    assert [row["text_source"] for row in done.rows] == ["layer", "pixels", "pixels"]
    assert [row["text"] for row in done.rows] == [TEXT, "read from pixels", "read from pixels"]
    assert [bool(row["layer_fault"]) for row in done.rows] == [False, True, False]
    assert done.rows[0]["blocks"][0]["box_source"] == "layer"
    assert done.rows[0]["model"] is None
    assert len(engine.requests) == 2
    assert "mixed.pdf page 2: its text layer is not used: it is invisible" in done.err
    assert "1 of 3 pages come from their text layers" in done.err


def test_no_model_is_opened_where_layers_answer(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "born.pdf"
    path.write_bytes(text_document(SOUND, SOUND))
    engine = FakeEngine()
    done = cli("ocr", path, "-f", "text", "--dpi", 60, engine=engine)
    assert done.out == f"{TEXT}\n\f{TEXT}\n"
    assert not engine.requests
    assert not engine.closed  # it was never opened
    hocr = cli("ocr", path, "-f", "hocr", "--text-layer", "only", "--dpi", 60, engine=engine)
    assert hocr.out.count("x_source layer") == 2 * len(LETTER)
    assert not engine.closed


def test_layers_are_ignored_on_demand(cli: Cli, mixed: Path) -> None:
    done = cli("ocr", mixed, "--text-layer", "ignore", "--dpi", 60, engine=FakeEngine("pixels"))
    assert {row["text"] for row in done.rows} == {"pixels"}


def test_only_layers_fails_where_there_is_none(cli: Cli, mixed: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "page.png")
    engine = FakeEngine()
    done = cli("ocr", mixed, image, "--text-layer", "only", "--dpi", 60, engine=engine)
    assert [row["status"] for row in done.rows] == ["ok", "failed", "failed", "failed"]
    assert done.code == 1
    assert "page.png has no text layer" in done.err
    assert not engine.requests


def test_markdown_is_the_models_unless_only_layers_are_asked_for(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "born.pdf"
    path.write_bytes(text_document(SOUND))
    words = ("ocr", path, "-f", "md", "--dpi", 60)
    done = cli(*words, engine=FakeEngine("# Swifts"))
    assert done.out == "# Swifts\n"
    assert "has a sound text layer" in done.err
    assert LETTER[0] in cli(*words, "--text-layer", "only").out


def test_fields_are_asked_for_and_checked_against_the_layer(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "born.pdf"
    path.write_bytes(text_document(SOUND))
    words = ("ocr", path, "--fields", "number", "--dpi", 60)
    engine = FakeEngine("1042")
    (row,) = cli(*words, engine=engine).rows
    assert (row["text"], row["fields"], row["text_source"]) == (TEXT, {"number": "1042"}, "layer")
    assert len(engine.requests) == 1
    (row,) = cli(*words, engine=FakeEngine("7777")).rows
    assert "not in the text" in row["warnings"][0]
    assert cli(*words, "--text-layer", "only").code == 2


def test_a_wrong_choice_is_one_line(cli: Cli, mixed: Path) -> None:
    done = cli("ocr", mixed, "--text-layer", "never")
    assert done.code == 2
    assert "One of auto, ignore, only." in done.err


def test_a_plan_counts_no_page_that_its_layer_answers(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "born.pdf"
    path.write_bytes(text_document(SOUND))
    done = cli("ocr", path, "--plan", "--dpi", 60)
    assert done.code == 0
    assert "1 of 1 pages come from their text layers" in done.err
