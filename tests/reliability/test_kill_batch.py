from __future__ import annotations

import pytest

from tests.reliability.kill_batch import BATCHES, main


@pytest.mark.slow
def test_a_few_kills_of_every_kind_of_batch() -> None:
    tally = main(kills=4, seed=5)
    assert tally.kills == 4
    assert tally.rounds >= len(BATCHES)
