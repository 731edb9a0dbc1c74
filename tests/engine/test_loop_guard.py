from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.engine.local.loop_guard import LIMITS, repeated_tail

tokens = st.integers(0, 300)


@given(st.lists(tokens, max_size=400))
def test_surplus_is_always_a_repetition(answer: list[int]) -> None:
    surplus = repeated_tail(answer)
    assert 0 <= surplus < max(len(answer), 1)


@given(st.lists(tokens, max_size=50), st.lists(tokens, min_size=1, max_size=200))
def test_endless_blocks_are_found_and_one_copy_is_kept(head: list[int], block: list[int]) -> None:
    answer = head + block * (1 + 300 // len(block)) + block * 5
    surplus = repeated_tail(answer)
    assert surplus > 0
    assert len(answer) - surplus >= 1


def test_rules_and_tables_are_no_loops() -> None:
    assert repeated_tail([7] * 60) == 0
    row = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert repeated_tail(row * 7) == 0
    assert repeated_tail(list(range(500))) == 0


def test_limits_grow_with_the_period() -> None:
    periods = [limit[0] for limit in LIMITS]
    assert periods == sorted(periods)
