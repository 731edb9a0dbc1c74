"""Metrics: values worked out by hand, and properties."""

from __future__ import annotations

import pytest

from dvl2_cli.evaluation import metrics


def test_edit_counts_by_hand() -> None:
    counts = metrics.edit_counts("the  cat\nsat", "the bat sat on")
    # "the cat sat" -> "the bat sat on": one substitution, three insertions.
    assert (counts.errors, counts.length) == (4, 11)
    assert (counts.word_errors, counts.words) == (2, 3)


def test_edit_counts_of_nothing_read() -> None:
    counts = metrics.edit_counts("abc", "")
    assert (counts.errors, counts.length) == (3, 3)
    with pytest.raises(ValueError, match="empty"):
        metrics.edit_counts(" \n", "abc")


def test_anls_by_hand() -> None:
    assert metrics.anls("INV-204", "inv-204") == 1
    assert metrics.anls("abcd", "abcx") == 0.75
    # Distance 3 of 4 is beyond the threshold.
    assert metrics.anls("abcd", "axyz") == 0
    # Just at it: 2 of 4.
    assert metrics.anls("abcd", "abxy") == 0.5


def test_hit_counts_the_first_box_only() -> None:
    wanted = (0.0, 0.0, 100.0, 100.0)
    assert metrics.hit(wanted, [wanted]) == 1
    assert metrics.hit(wanted, [(500.0, 500.0, 600.0, 600.0), wanted]) == 0
    assert metrics.hit(wanted, []) == 0
    # IoU 0.5 exactly still counts.
    assert metrics.hit(wanted, [(0.0, 0.0, 100.0, 50.0)]) == 1
    assert metrics.hit(wanted, [(0.0, 0.0, 100.0, 49.0)]) == 0


def test_boxes_f1_matches_one_to_one() -> None:
    one, two = (0.0, 0.0, 100.0, 100.0), (300.0, 300.0, 400.0, 400.0)
    assert metrics.boxes_f1([one, two], [two, one]) == 1
    assert metrics.boxes_f1([one, two], [one]) == pytest.approx(2 / 3)
    # The same box twice finds one object and one false alarm.
    assert metrics.boxes_f1([one], [one, one]) == pytest.approx(2 / 3)
    assert metrics.boxes_f1([one], []) == 0
    assert metrics.boxes_f1([], []) == 1


@pytest.mark.parametrize(
    ("reference", "answer", "right"),
    [
        ("3", "Three.", True),
        ("3", "4", False),
        ("a red car", "The red car.", True),
        ("a red car", "a blue car", False),
        ("centre", "in the center", False),
        ("centre", "Center", True),
        ("grey", "gray", True),
        ("$4.20", "4.20", False),
        ("top left", "left", False),
    ],
)
def test_exact_forgives_form_not_content(reference: str, answer: str, right: bool) -> None:
    assert metrics.exact(reference, answer) == float(right)
