from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.tasks.reading.loops import cut_loop


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Total 9" + "9" * 100, "Total 9"),
        ("Intro. " + "the same line again\n" * 10, "Intro. the same line again"),
        ("abc " + "x y z " * 30 + "x y", "abc x y z"),
        ("<td>1</td>" * 50, "<td>1</td>"),
    ],
)
def test_a_loop_is_cut_to_one_round(text: str, cut: str) -> None:
    assert cut_loop(text) == (cut, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A plain sentence.",
        "Contents ........................................ 5",
        "-" * 300,
        "row 1\nrow 2\nrow 3\nrow 4\nrow 5\nrow 6\nrow 7\nrow 8\nrow 9\nrow 10",
        "ha ha ha ha ha",
    ],
)
def test_text_without_a_loop_is_left_alone(text: str) -> None:
    assert cut_loop(text) == (text, False)


@given(st.text(max_size=60), st.text("abc \n1", min_size=1, max_size=40), st.integers(0, 300))
def test_what_is_left_does_not_loop_again(start: str, unit: str, rounds: int) -> None:
    text = start + unit * rounds
    cut, found = cut_loop(text)
    assert text.startswith(cut)
    if found:
        assert cut_loop(cut)[0] == cut or len(cut_loop(cut)[0]) < len(cut)
        assert len(cut) < len(text)
