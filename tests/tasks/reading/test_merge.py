from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from dvl2_cli.tasks.reading.bands import is_long, split, strip_count
from dvl2_cli.tasks.reading.merge import join_lines, merge_bands

words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9)
page_lines = st.lists(
    st.lists(words, min_size=2, max_size=6).map(" ".join), min_size=8, max_size=60, unique=True
)


@settings(max_examples=40, deadline=None)
@given(page_lines, st.integers(2, 5), st.integers(1, 3), st.randoms(use_true_random=False))
def test_overlapping_bands_give_every_line_once(
    lines: list[str], count: int, shared: int, rng: random.Random
) -> None:
    edges = [round(index * len(lines) / count) for index in range(count + 1)]
    pieces = [lines[max(a - shared, 0) : b] for a, b in pairwise(edges)]
    shares = [0.0] + [shared / max(len(piece), 1) for piece in pieces[1:]]
    assert merge_bands(["\n".join(piece) for piece in pieces], shares).splitlines() == lines


def test_a_line_cut_by_the_edge_is_taken_whole() -> None:
    above = ["Invoice 1042", "Bolts M6 40 pieces", "Nuts M6 40 pieces", "Wash"]
    below = ["Nuts M6 40 pieces", "Washers M6 80 pieces", "Total 41.20"]
    assert join_lines(above, below, 2 / 3) == [*above[:2], *below]


def test_small_reading_differences_do_not_repeat_a_line() -> None:
    above = ["one two three", "The quick brown fox", "jumps over the lazy dog"]
    below = ["The quick brovvn fox", "jumps over the lazy dog", "and away"]
    assert join_lines(above, below, 0.5) == [*above, "and away"]


def test_equal_rows_are_counted_by_the_geometry() -> None:
    row = "1 x coffee 2.50"
    assert join_lines([row] * 5, [row] * 5, 2 / 5) == [row] * 8


def test_bands_without_common_lines_are_joined_as_they_are() -> None:
    assert join_lines(["a", "b"], ["c", "d"], 0.2) == ["a", "b", "c", "d"]


def test_an_empty_band_loses_nothing() -> None:
    assert merge_bands(["one\ntwo", "", "three"], [0, 0.1, 0.1]) == "one\ntwo\nthree"


def lined_page(lines: int, pitch: int = 30) -> Image.Image:
    page = Image.new("RGB", (400, lines * pitch), "white")
    pen = ImageDraw.Draw(page)
    for index in range(lines):
        pen.rectangle((20, index * pitch + 8, 380, index * pitch + 18), fill="black")
    return page


def test_bands_cover_the_page_and_cut_between_lines() -> None:
    page = lined_page(100)
    assert is_long(page.size)
    bands = split(page, strip_count(page.size))
    assert bands[0].top == 0
    assert bands[-1].bottom == page.height
    for one, other in pairwise(bands):
        assert one.top < other.top == one.bottom < other.bottom
        assert other.shared == 0
        assert page.getpixel((200, other.top)) == (255, 255, 255)


def test_bands_of_a_slanted_page_overlap() -> None:
    page = lined_page(60).rotate(-6, fillcolor="white")
    for one, other in pairwise(split(page, 4)):
        assert one.top < other.top < one.bottom < other.bottom
        assert other.shared == one.bottom - other.top


def test_bands_that_only_meet_keep_lines_that_repeat() -> None:
    assert merge_bands(["Total 0.00", "Total 0.00"], [0, 0]) == "Total 0.00\nTotal 0.00"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500), st.integers(400, 4000), st.integers(2, 9))
def test_any_page_is_covered(width: int, height: int, count: int) -> None:
    bands = split(Image.new("L", (width, height)), count)
    assert (bands[0].top, bands[-1].bottom) == (0, height)
    assert all(a.bottom >= b.top and b.height > 0 for a, b in pairwise(bands))
