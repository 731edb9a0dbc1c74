from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageDraw

from dvl2_cli.tasks.reading.stutters import stutters
from dvl2_cli.tasks.reading.text_lines import text_lines
from tests.tasks.reading.printed import page_of


@given(st.integers(3, 30), st.integers(20, 40))
def test_every_line_is_found_where_it_stands(count: int, distance: int) -> None:
    lines = text_lines(page_of(count, distance))
    assert lines == [(20 + n * distance, 34 + n * distance) for n in range(count)]


def test_dirt_between_lines_is_no_line() -> None:
    page = page_of(6)
    ImageDraw.Draw(page).rectangle((40, 38, 42, 39), fill="black")
    assert len(text_lines(page) or []) == 6


@pytest.mark.parametrize("count", [0, 1, 2])
def test_so_few_lines_tell_nothing(count: int) -> None:
    assert text_lines(page_of(count)) is None


def test_slanted_print_and_print_beside_a_picture_tell_nothing() -> None:
    page = page_of(8)
    assert text_lines(page.rotate(6, fillcolor="white")) is None
    ImageDraw.Draw(page).rectangle((120, 30, 180, 150), fill="black")
    assert text_lines(page) is None


def test_phrases_that_follow_upon_themselves_are_counted() -> None:
    assert stutters("on. Lightable little's can\non. Lightable little's can\nare about") == 1
    assert stutters("push over long. Zephyr push over long. Zephyr and then the end of it") == 1


@pytest.mark.parametrize(
    "text",
    ["", "a plain line of text", "-" * 60, "0000000000000000000000000", "| --- | --- | --- | --- |",
     "tra la la la la la la", "the cat and the cat"],
)  # fmt: skip
def test_rules_zeros_and_short_repeats_are_no_stutter(text: str) -> None:
    assert stutters(text) == 0
