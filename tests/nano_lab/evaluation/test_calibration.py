"""The probability under which answers are doubtful."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.engine.events import Confidence
from dvl2_cli.engine.local.statistics import FeatureStatistics, load_statistics, save_statistics
from dvl2_cli.errors import ModelError
from dvl2_cli.results.confidence import confidence_warnings
from nano_lab.evaluation.calibration import calibrate, threshold

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_answers_that_can_be_told_apart_are() -> None:
    assert threshold([0.9, 0.95, 0.99], [0.2, 0.7]) == pytest.approx(0.8)


def test_of_those_that_mix_most_wrong_ones_are_below() -> None:
    low = threshold([0.5, 0.9, 0.92, 0.95, 0.97], [0.3, 0.6, 0.7, 0.96])
    assert low == pytest.approx(0.8)


def test_with_nothing_to_tell_apart_nothing_is_doubted() -> None:
    assert threshold([], [0.3]) == threshold([0.4], []) == threshold([0.5], [0.5]) == 0.0


@given(PROBABILITIES, PROBABILITIES)
def test_no_more_right_answers_are_doubted_than_wrong_ones(
    right: list[float], wrong: list[float]
) -> None:
    low = threshold(right, wrong)
    below = [sum(p < low for p in group) / len(group) for group in (right, wrong)]
    assert 0 <= low <= 1
    assert below[0] <= below[1]


def test_a_checkpoint_keeps_what_was_measured(tmp_path: Path) -> None:
    statistics = FeatureStatistics(torch.zeros(2), torch.ones(2), 1.5, 0.75)
    save_statistics(tmp_path, statistics)
    found = load_statistics(tmp_path)
    assert found is not None
    assert (found.threshold, found.probability) == (1.5, 0.75)
    save_statistics(tmp_path, FeatureStatistics(torch.zeros(2), torch.ones(2), 1.5))
    found = load_statistics(tmp_path)
    assert found is not None
    assert found.probability is None


def test_its_answers_are_held_against_it() -> None:
    assert not confidence_warnings(Confidence(0.7))
    assert not confidence_warnings(Confidence(0.7, probability_threshold=0.6))
    assert "70%" in confidence_warnings(Confidence(0.7, probability_threshold=0.8))[0]
    assert not confidence_warnings(Confidence(None, probability_threshold=0.8))


def test_a_folder_without_statistics_cannot_be_calibrated(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no statistics"):
        calibrate(tmp_path)
