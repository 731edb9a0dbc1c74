"""The documents of the foreign suite, without the tools that draw them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from dvl2_cli.errors import InputError
from nano_lab.foreign import tools
from nano_lab.foreign.drawing import wear
from nano_lab.foreign.drawing.catalogue import KINDS, MONO, SANS, SERIF, documents
from nano_lab.foreign.drawing.document import Drawn, Word, by_rows
from nano_lab.foreign.drawing.facts import prose
from nano_lab.foreign.drawing.studio import content
from nano_lab.foreign.suite import Page, digits_right_or_flagged, scored
from nano_lab.rendering.fonts import FAMILIES
from nano_lab.rendering.held_out import HELD_OUT_FONTS


def test_every_kind_is_there_and_every_name_once() -> None:
    found = documents()
    assert len(found) >= 80
    assert set(Counter(doc.kind for doc in found)) == set(KINDS)
    assert len({doc.name for doc in found}) == len(found)


def test_contents_are_the_same_every_time_and_differ_between_seeds() -> None:
    for doc in documents():
        assert content(doc) == content(doc)
    texts = [str(content(doc)) for doc in documents() if doc.kind == "invoice"]
    assert len(set(texts)) == len(texts)


def test_invoices_add_up() -> None:
    def cents(shown: str) -> int:
        return int("".join(char for char in shown if char.isdigit()))

    for doc in documents():
        if doc.kind == "invoice":
            made = content(doc)
            assert sum(cents(row[3]) for row in made["rows"]) == cents(made["net"])
            assert cents(made["net"]) + cents(made["tax"]) == cents(made["total"])


def test_training_has_none_of_the_fonts() -> None:
    trained = {family.name for family in FAMILIES} - HELD_OUT_FONTS
    assert not trained & {*SANS, *SERIF, *MONO}


def test_prose_is_there_in_four_languages() -> None:
    assert all(len(prose(language)) >= 2 for language in ("en", "de", "fr", "es"))


def test_rows_are_read_across_the_page() -> None:
    words = [
        Word("Total", (10, 50, 60, 70)),
        Word("Net", (10, 20, 40, 40)),
        Word("9.00", (200, 52, 240, 68)),
        Word("8.00", (200, 20, 240, 40)),
    ]
    assert by_rows(words) == "Net 8.00\nTotal 9.00"


def test_a_document_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    table = (("a", "b"), ("1", "2"))
    drawn = Drawn("table", "t-1", tmp_path / "t-1.png", "a b 1 2", "a b\n1 2", {"a": "1"}, table)
    drawn.save(tmp_path)
    assert Drawn.load(tmp_path / "t-1.json") == drawn


@pytest.mark.parametrize("worn", [wear.scan, wear.photo])
def test_wear_is_seeded(worn: object) -> None:
    page = Image.new("RGB", (120, 90), "white")
    ImageDraw.Draw(page).text((20, 30), "Total 12.50", "black")
    assert callable(worn)
    first = worn(page, 3)
    assert first.tobytes() == worn(page, 3).tobytes()
    assert first.tobytes() != worn(page, 5).tobytes()


def test_either_order_counts_where_parts_stand_side_by_side() -> None:
    drawn = Drawn("invoice", "i", Path("i.png"), "Firm Street No. 7", "Firm No. 7 Street")
    assert scored(drawn, "Firm No. 7\nStreet", warned=False, seconds=1).errors == 0
    column = Drawn("article", "a", Path("a.png"), "Firm Street No. 7", "Firm No. 7 Street")
    assert scored(column, "Firm No. 7\nStreet", warned=False, seconds=1).errors > 0


def test_digits_of_a_page_that_warns_count_as_flagged() -> None:
    def page(read: str, *, warned: bool) -> Page:
        drawn = Drawn("receipt", "r", Path("r.png"), "Sum 1234", "Sum 1234")
        return scored(drawn, read, warned=warned, seconds=1)

    silent, warning = page("Sum 1239", warned=False), page("Sum 9999", warned=True)
    assert digits_right_or_flagged([silent]) == 0.75
    assert digits_right_or_flagged([silent, warning]) == 0.875


def test_missing_tools_are_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as caught:
        tools.check(tmp_path, peers=True)
    hint = str(caught.value.hint)
    assert "apt-get install chromium" in hint
    assert "tesseract-ocr" in hint
    assert f"npm install --prefix {tmp_path}" in hint
    assert "\n" not in hint
