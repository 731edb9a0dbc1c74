from __future__ import annotations

import pytest

from tests.reliability.kill_pull import main


@pytest.mark.slow
def test_a_few_kills() -> None:
    tally = main(kills=3, seed=3, quant="none")
    assert tally.kills == 3
