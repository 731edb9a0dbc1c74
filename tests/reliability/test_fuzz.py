from __future__ import annotations

import pytest

from tests.reliability import fuzz_images, fuzz_outputs


def test_mutated_images() -> None:
    outcomes = fuzz_images.run(150, seed=11)
    assert outcomes["BROKEN"] == 0
    assert outcomes["read"] > 20
    assert outcomes["refused"] > 20


def test_mutated_outputs() -> None:
    assert fuzz_outputs.run(150, seed=11) == {"fine": 150}


@pytest.mark.slow
def test_two_thousand_mutated_images() -> None:
    assert fuzz_images.run(2000, seed=12)["BROKEN"] == 0


@pytest.mark.slow
def test_fifteen_hundred_mutated_outputs() -> None:
    assert fuzz_outputs.run(1500, seed=12) == {"fine": 1500}
