"""What counts as read, answered and located."""

from __future__ import annotations

import pytest

from nano_lab.foreign.measures import (
    character_error_rate,
    contains_value,
    digits,
    is_refusal,
    is_value,
    overlap,
)


def test_white_space_is_no_error() -> None:
    assert character_error_rate("Net  12.50\nTotal 15.00", "Net 12.50 Total\n\n15.00") == 0


def test_one_wrong_character_of_ten() -> None:
    assert character_error_rate("0123456789", "0123x56789") == pytest.approx(0.1)


def test_digits_are_counted_where_they_stand() -> None:
    found = digits("No. 1234 Total 56.70", "No. 1284 Total 56.70")
    assert (found.printed, found.right) == (8, 7)


def test_a_digit_elsewhere_does_not_make_up_for_a_missing_one() -> None:
    assert digits("Total 7 EUR", "7 Total EUR").right == 0


@pytest.mark.parametrize("answer", ["INV-77 ", "inv-77", "INV- 77."])
def test_a_value_may_differ_in_spaces_and_case(answer: str) -> None:
    assert is_value("INV-77", answer)


@pytest.mark.parametrize("answer", [None, "INV-78", "number INV-77", ""])
def test_other_values_are_wrong(answer: str | None) -> None:
    assert not is_value("INV-77", answer)


def test_a_page_that_holds_the_value_is_no_answer() -> None:
    assert contains_value("$40.10", "The total is $40.10.")
    assert not contains_value("$40.10", "Invoice of the firm, street, town, rows " * 4 + "$40.10")


@pytest.mark.parametrize(
    "answer",
    ["I cannot translate.", "Nano can't do that.", "Das kann ich nicht.", "我不能翻译。"],
)
def test_refusals(answer: str) -> None:
    assert is_refusal(answer)


@pytest.mark.parametrize("answer", ["a red car", "There is no dog in this image.", "0"])
def test_answers_are_no_refusals(answer: str) -> None:
    assert not is_refusal(answer)


def test_overlap() -> None:
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (20, 20, 30, 30)) == 0
