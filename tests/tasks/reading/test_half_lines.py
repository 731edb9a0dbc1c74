from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dvl2_cli.planning.print_size import ink_of
from dvl2_cli.tasks.reading.half_lines import HalfLines, half_lines
from dvl2_cli.tasks.reading.text_lines import text_lines
from dvl2_cli.tasks.reading.views import AsItIs, Enlarged
from tests.tasks.reading.printed import page_of, printed

BLANK = Image.new("RGB", (10, 10), "white")


def dark(picture: Image.Image) -> int:
    return int((np.asarray(picture.convert("L")) < 128).sum())


def halves_of(page: Image.Image) -> HalfLines | None:
    lines = text_lines(page)
    assert lines is not None
    return half_lines(page, lines)


@settings(max_examples=25, deadline=None)
@given(st.integers(500, 1400), st.integers(160, 700), st.integers(9, 16))
def test_the_halves_hold_all_the_print_and_cut_no_word(width: int, height: int, size: int) -> None:
    page = printed(width, height, size)
    halves = halves_of(page)
    assert halves is not None
    assert dark(halves.left) + dark(halves.right) == dark(page)
    # Strokes of one word stand nearer than words do: what was cut begins and ends with whole words.
    letters = strokes(page)
    assert strokes(halves.left) + strokes(halves.right) == letters
    assert max(halves.left.width, halves.right.width) < 0.8 * width


def strokes(page: Image.Image) -> int:
    """How many runs of ink there are along all rows."""
    ink = ink_of(page)
    return int((ink[:, 1:] & ~ink[:, :-1]).sum())


def test_lines_that_end_early_are_not_cut() -> None:
    page = printed(1152, 400, 13)
    top = text_lines(page)[2][0]  # type: ignore[index]
    page.paste("white", (500, top - 3, 1152, top + 18))
    halves = halves_of(page)
    assert halves is not None
    assert [number for number, cut in enumerate(halves.cut) if not cut] == [2]
    lines = text_lines(halves.right)
    assert lines is not None
    assert len(lines) == sum(halves.cut)


def test_a_line_without_spaces_is_not_cut() -> None:
    assert halves_of(page_of(8)) is None


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        ("one\ntwo\n\nthree", "1\n3", "one 1\ntwo\nthree 3"),
        ("one\ntwo", "1\n3", None),
        ("one\ntwo\nthree", "1\n2\n3", None),
    ],
)
def test_lines_are_joined_if_none_is_missing(left: str, right: str, text: str | None) -> None:
    assert HalfLines(BLANK, BLANK, (True, False, True)).joined(left, right) == text


def test_only_what_the_width_keeps_small_is_cut() -> None:
    wide = printed(1152, 576, 12)
    assert Enlarged(None, lambda: True).half_lines(wide) is not None
    assert Enlarged(None, lambda: False).half_lines(wide) is None
    assert Enlarged(0, lambda: True).half_lines(wide) is None
    assert AsItIs().half_lines(wide) is None
    for other in (
        printed(1152, 576, 24),  # large enough
        printed(500, 576, 12),  # shown large enough whole
        printed(1152, 576, 12, columns=2),
        Image.new("RGB", (1152, 576), "white"),
    ):
        assert Enlarged(None, lambda: True).half_lines(other) is None
