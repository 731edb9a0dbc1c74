from __future__ import annotations

import pytest

from dvl2_cli.tasks.reading.bands import is_long, strip_count


@pytest.mark.parametrize("size", [(1, 20_000), (7, 100_000), (1, 1)])
def test_what_is_narrower_than_a_letter_is_one_question(size: tuple[int, int]) -> None:
    assert not is_long(size)


@pytest.mark.parametrize("size", [(8, 20_000), (40, 20_000), (100, 1_700_000), (600, 15_000)])
def test_bands_are_high_enough_and_not_without_number(size: tuple[int, int]) -> None:
    assert is_long(size)
    count = strip_count(size)
    assert count <= 256
    assert size[1] / count >= 160


def test_a_long_screenshot_keeps_the_size_of_its_print() -> None:
    assert strip_count((600, 15_000)) == 20
