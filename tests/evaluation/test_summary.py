"""Means, intervals and which bars are met."""

from __future__ import annotations

import random

import pytest

from dvl2_cli.evaluation.item import Item, ItemResult, Metric
from dvl2_cli.evaluation.report import HEADINGS, table_row
from dvl2_cli.evaluation.summary import summarise, summarise_part


def outcome(group: str, metric: Metric, score: float, **counts: int) -> ItemResult:
    item = Item("x", group, metric, "?", "!")
    return ItemResult(item, "!", score, 0.5, "stop", 3, **counts)


def test_cer_weighs_pictures_by_their_length() -> None:
    outcomes = [
        outcome("t", "cer", 0.5, errors=5, length=10, word_errors=1, words=2),
        outcome("t", "cer", 0.0, errors=0, length=90, word_errors=0, words=18),
    ]
    row = summarise(outcomes, 0.06)
    assert row.mean == pytest.approx(0.05)
    assert row.wer == pytest.approx(0.05)
    assert row.met is True
    assert summarise(outcomes, 0.04).met is False
    assert row.seconds_per_item == 0.5


def test_interval_holds_the_mean_and_narrows_with_more_items() -> None:
    rng = random.Random(0)
    scores = [float(rng.random() < 0.8) for _ in range(400)]
    wide = summarise([outcome("g", "exact", score) for score in scores[:25]])
    narrow = summarise([outcome("g", "exact", score) for score in scores])
    assert narrow.low < narrow.mean < narrow.high
    assert narrow.high - narrow.low < wide.high - wide.low
    # A binomial of 0.8 with n = 400 has a standard error of 0.02.
    assert narrow.high - narrow.low == pytest.approx(4 * 0.02, abs=0.015)


def test_interval_is_the_same_every_time() -> None:
    outcomes = [outcome("g", "exact", score) for score in (0.0, 1.0, 1.0)]
    assert summarise(outcomes) == summarise(outcomes)


def test_a_part_has_a_row_over_its_main_metric_and_bars_only_there() -> None:
    outcomes = [
        outcome("grounding/name", "iou", 1.0),
        outcome("grounding/absent", "absent", 0.0),
        outcome("grounding/colour", "iou", 0.0),
    ]
    rows = summarise_part("grounding", outcomes, 0.9)
    assert [(row.group, row.mean, row.bar) for row in rows] == [
        ("grounding", 0.5, 0.9),
        ("grounding/name", 1.0, 0.9),
        ("grounding/absent", 0.0, None),
        ("grounding/colour", 0.0, 0.9),
    ]
    assert rows[2].met is None
    assert summarise_part("grounding", [], 0.9) == []


def test_nothing_cannot_be_summarised() -> None:
    with pytest.raises(ValueError, match="nothing"):
        summarise([])


def test_rows_fit_the_headings_and_json_says_what_was_met() -> None:
    row = summarise([outcome("g", "anls", 0.95)], 0.9)
    assert len(table_row(row)) == len(HEADINGS)
    assert row.as_json()["met"] is True
    assert row.as_json()["schema"] == "dvl2.eval/1"
