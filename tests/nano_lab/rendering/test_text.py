"""Strings and layout, with the one font that comes with the tests' machine or none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFont

from nano_lab.rendering.block import Area, break_lines, set_text
from nano_lab.rendering.canvas import Canvas
from nano_lab.rendering.face import Face
from nano_lab.rendering.fonts import FAMILIES
from nano_lab.rendering.held_out import HELD_OUT_FONTS, HELD_OUT_WORDS
from nano_lab.rendering.people import company, surname
from nano_lab.rendering.text import prose, token
from nano_lab.rendering.vocabulary import common_words
from tests.nano_lab.rendering.fonts_here import any_font


@pytest.fixture(scope="module")
def font() -> Path:
    return any_font()


def test_held_out_fonts_are_families_of_every_plain_genre() -> None:
    held = [family for family in FAMILIES if family.name in HELD_OUT_FONTS]
    assert len(held) == len(HELD_OUT_FONTS)
    assert {family.genre for family in held} == {"sans", "serif", "mono"}
    assert 0.1 < len(held) / len(FAMILIES) < 0.25


def test_every_family_names_a_package_and_files() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert family.package.startswith("fonts-")
        assert all(name.endswith((".ttf", ".otf")) for name in family.files)


def test_training_text_has_no_held_out_word() -> None:
    rng = random.Random(0)
    words = {word.lower().strip(".,;:?!()[]\"'“”") for word in prose(rng, "train", 20_000)}
    assert not words & HELD_OUT_WORDS
    assert not set(common_words("train")) & HELD_OUT_WORDS
    test_words = {word.lower() for word in prose(rng, "test", 5_000)}
    assert test_words & HELD_OUT_WORDS


def test_names_of_the_splits_differ() -> None:
    rng = random.Random(1)
    for make in (company, surname):
        train = {make(rng, "train").split()[0] for _ in range(2_000)}
        test = {make(rng, "test").split()[0] for _ in range(200)}
        assert not train & test


@given(st.integers(0, 2**32))
def test_tokens_are_printable_and_not_empty(seed: int) -> None:
    text = token(random.Random(seed), "train", 0.6)
    assert text
    assert text.isprintable()


@given(
    text=st.text(st.sampled_from("AVTo.,yrWLlimMe 1fj"), min_size=1, max_size=30),
    size=st.integers(12, 40),
)
def test_offsets_are_the_advances_that_pillow_uses(text: str, size: int) -> None:
    face = Face(any_font(), size)
    offsets = face.offsets(text)
    assert len(offsets) == len(text) + 1
    assert offsets[-1] == pytest.approx(face.font.getlength(text), abs=0.51)


@given(st.text(st.sampled_from("AVToyrWlime1gfjQ@%&"), min_size=1, max_size=12))
def test_glyph_boxes_hold_all_ink(text: str) -> None:
    face = Face(any_font(), 24)
    canvas = Canvas(Image.new("RGB", (500, 60), "white"))
    canvas.write(20, 40, text, face, (0, 0, 0))
    ink = ImageChops.invert(canvas.image.convert("L")).getbbox()
    assert ink is not None
    boxes = [glyph.box for glyph in canvas.glyphs]
    around = (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
    for measured, drawn in zip(around, ink, strict=True):
        assert abs(measured - drawn) <= 1.01


def test_each_glyph_box_fits_its_ink(font: Path) -> None:
    face = Face(font, 30)
    # Alone on the canvas, so that the ink of one letter can be told from the next.
    for char in "AgQ7j%&,@":
        canvas = Canvas(Image.new("RGB", (80, 80), "white"))
        canvas.write(20, 50, char, face, (0, 0, 0))
        ink = ImageChops.invert(canvas.image.convert("L")).getbbox()
        assert ink is not None
        for measured, drawn in zip(canvas.glyphs[0].box, ink, strict=True):
            assert abs(measured - drawn) <= 1.01, char


def test_written_text_is_the_glyphs_in_order(font: Path) -> None:
    canvas = Canvas(Image.new("RGB", (300, 100), "white"))
    face = Face(font, 16)
    canvas.write(5, 20, "Total:  12", face, (0, 0, 0))
    canvas.write(200, 20, "EUR", face, (0, 0, 0), joined=True)
    canvas.write(5, 60, "next", face, (0, 0, 0))
    assert canvas.text == "Total: 12 EUR\nnext"
    assert "".join(glyph.char for glyph in canvas.glyphs) == "Total: 12EURnext"
    assert [glyph.order for glyph in canvas.glyphs] == list(range(16))
    assert {glyph.line for glyph in canvas.glyphs} == {0, 1}


def test_characters_that_the_font_lacks_are_not_promised(font: Path) -> None:
    canvas = Canvas(Image.new("RGB", (300, 60), "white"))
    canvas.write(5, 30, "a\U000f1234b", Face(font, 16), (0, 0, 0))
    assert canvas.text == "ab"


@given(st.lists(st.text(st.sampled_from("abcW. "), min_size=1, max_size=40), max_size=30))
def test_lines_fit_their_width(tokens: list[str]) -> None:
    face = Face(any_font(), 14)
    for line in break_lines(tokens, face, 150):
        assert face.width(" ".join(line)) <= 150.5


def test_set_text_stays_in_its_area(font: Path) -> None:
    canvas = Canvas(Image.new("RGB", (200, 120), "white"))
    face = Face(font, 15)
    tokens = ["word"] * 300
    for align in ("left", "right", "centre", "justify"):
        set_text(
            canvas, Area(20, 10, 180, 100), tokens, face, (0, 0, 0), random.Random(0),
            align=align,
        )  # fmt: skip
    for glyph in canvas.glyphs:
        assert glyph.box[0] >= 19
        assert glyph.box[1] >= 9
        assert glyph.box[2] <= 181.5
        assert glyph.box[3] <= 101


def test_the_default_font_of_pillow_would_do() -> None:
    # The renderer needs nothing of a font but what FreeType gives for any file.
    assert isinstance(ImageFont.load_default(12), ImageFont.FreeTypeFont)
