from __future__ import annotations

import pytest

from tests.reliability.kill_quantize import main


@pytest.mark.slow
def test_a_few_kills() -> None:
    tally = main(kills=2, seed=2, target="int4")
    assert tally.kills == 2
    assert tally.finished
