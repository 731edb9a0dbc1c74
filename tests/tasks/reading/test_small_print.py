from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dvl2_cli.planning.print_size import SMALL, print_height
from dvl2_cli.tasks.reading.bands import split
from dvl2_cli.tasks.reading.small_print import MAX_BANDS, WORTH, small_print_bands
from tests.tasks.reading.printed import printed


@pytest.mark.parametrize(("width", "height", "size"), [(384, 384, 14), (768, 768, 13)])
def test_what_nine_tiles_show_large_enough_is_read_whole(
    width: int, height: int, size: int
) -> None:
    assert small_print_bands(printed(width, height, size), None) == 1


def test_a_dense_page_is_read_in_bands_that_show_its_print_larger() -> None:
    page = printed(1152, 1152, 14)
    height = print_height(page)
    assert height is not None
    assert height < SMALL
    count = small_print_bands(page, None)
    assert count > 1
    for band in split(page, count):
        assert band.height <= 1.1 * page.height / count


def test_a_large_scan_counts_as_it_is_shown() -> None:
    scan = printed(2480, 3508, 40)
    assert small_print_bands(scan, None) > 1
    assert small_print_bands(scan.resize((1240, 1754)), None) > 1
    assert small_print_bands(printed(2480, 3508, 90), None) == 1


def test_fewer_tiles_need_more_bands() -> None:
    page = printed(1152, 1152, 14)
    assert small_print_bands(page, 4) > small_print_bands(page, None)


@pytest.mark.parametrize("tiles", [0, 9])
def test_no_bands_without_tiles_or_print(tiles: int) -> None:
    picture = Image.new("RGB", (2000, 3000), "white") if tiles else printed(1152, 1152, 14)
    assert small_print_bands(picture, tiles) == 1


def test_columns_are_not_cut_across() -> None:
    assert small_print_bands(printed(1152, 1152, 14, columns=2), None) == 1


def test_no_bands_where_the_width_leaves_no_room_to_enlarge() -> None:
    assert small_print_bands(printed(1152, 1152, 14), 1) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(300, 2600), st.integers(300, 3600), st.integers(8, 60), st.integers(1, 9))
def test_bands_show_print_larger(width: int, height: int, size: int, tiles: int) -> None:
    page = printed(width, height, size)
    count = small_print_bands(page, tiles)
    assert 1 <= count <= MAX_BANDS
    if 1 < count < MAX_BANDS:
        whole, band = (
            max(
                min(384 * columns / width, 384 * rows / rows_shown)
                for columns in range(1, tiles + 1)
                for rows in range(1, tiles // columns + 1)
            )
            for rows_shown in (height, height / count)
        )
        assert band >= 0.999 * WORTH * whole
