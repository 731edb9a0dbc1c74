"""How much larger a page is shown the second time."""

from __future__ import annotations

import pytest
from PIL import Image

from deepseek_vl_v2.format.tiling import tile_grid
from dvl2_cli.planning.print_size import print_zoom
from dvl2_cli.planning.tile_budget import CANVASES, TILE, most_tiles
from dvl2_cli.tasks.reading.views import AsItIs, Enlarged
from tests.tasks.reading.printed import page_of


def tiles(page: Image.Image, zoom: float, cap: int | None) -> int:
    return tile_grid(page.size, CANVASES, TILE, most_tiles=most_tiles(cap), zoom=zoom).count


@pytest.mark.parametrize("cap", [None, 4, 9])
@pytest.mark.parametrize("size", [(384, 384), (300, 500), (768, 384), (768, 768), (900, 700)])
def test_closer_takes_more_tiles(size: tuple[int, int], cap: int | None) -> None:
    page = Image.new("RGB", size, "white")
    zoom = Enlarged(cap, lambda: True).closer(page)
    now = tiles(page, print_zoom(page), cap)
    if zoom is None:
        assert now > 2
        return
    assert now < tiles(page, zoom, cap) <= 1 + most_tiles(cap)


@pytest.mark.parametrize("cap", [None, 4, 9])
@pytest.mark.parametrize("rows", [6, 12, 20])
def test_farther_takes_fewer_tiles_and_still_enlarges(rows: int, cap: int | None) -> None:
    page = page_of(rows)
    zoom = Enlarged(cap, lambda: True).farther(page)
    now = tiles(page, print_zoom(page), cap)
    if zoom is None:
        assert tiles(page, 1.0, cap) == now
        return
    assert tiles(page, zoom, cap) < now
    assert 1 <= zoom < print_zoom(page)


def test_what_is_not_enlarged_is_not_shown_smaller() -> None:
    page = page_of(12)
    assert Enlarged(None, lambda: True).farther(page) is not None
    assert Enlarged(None, lambda: False).farther(page) is None
    assert Enlarged(1, lambda: True).farther(page) is None
    assert AsItIs().farther(page) is None


def test_one_tile_can_always_be_shown_larger_but_not_where_it_is_forbidden() -> None:
    page = Image.new("RGB", (384, 384), "white")
    assert Enlarged(None, lambda: True).closer(page) is not None
    assert Enlarged(None, lambda: False).closer(page) is None
    assert Enlarged(1, lambda: True).closer(page) is None
    assert Enlarged(0, lambda: True).closer(page) is None
    assert AsItIs().closer(page) is None


def test_the_largest_grid_cannot_be_exceeded() -> None:
    assert Enlarged(None, lambda: True).closer(Image.new("RGB", (1152, 1152), "white")) is None


def test_lines_are_counted_where_print_is_to_be_enlarged() -> None:
    page = page_of(12)
    assert Enlarged(None, lambda: True).lines(page) == 12
    assert Enlarged(None, lambda: False).lines(page) is None
    assert AsItIs().lines(page) is None


def test_print_in_columns_is_neither_counted_nor_divided() -> None:
    page = page_of(12)
    page.paste("white", (130, 0, 190, page.height))
    views = Enlarged(None, lambda: True)
    assert views.lines(page) is None
    assert not views.divides(page)


@pytest.mark.parametrize(("lines", "divided"), [(12, True), (6, True), (5, False)])
def test_halves_hold_lines_enough_to_be_counted(lines: int, divided: bool) -> None:
    assert Enlarged(None, lambda: True).divides(page_of(lines)) == divided


def test_every_page_is_measured_anew() -> None:
    views = Enlarged(None, lambda: True)
    assert [views.lines(page_of(lines)) for lines in (12, 9, 12)] == [12, 9, 12]
