from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from deepseek_vl_v2.format import tiling

CANDIDATES = [
    (384 * columns, 384 * rows)
    for columns in range(1, 10)
    for rows in range(1, 10)
    if columns * rows <= 9
]
sides = st.integers(1, 5000)


@given(sides, sides)
def test_no_candidate_keeps_more(width: int, height: int) -> None:
    def kept(canvas: tuple[int, int]) -> int:
        scale = min(canvas[0] / width, canvas[1] / height)
        return min(int(width * scale) * int(height * scale), width * height)

    best = tiling.best_resolution(width, height, CANDIDATES)
    assert kept(best) == max(kept(canvas) for canvas in CANDIDATES)


@given(sides, sides, st.integers(0, 9), st.integers(1, 5))
def test_grid_stays_in_its_budget(width: int, height: int, most: int, images: int) -> None:
    grid = tiling.tile_grid((width, height), CANDIDATES, 384, images=images, most_tiles=most)
    assert 1 <= grid.columns * grid.rows <= max(most, 1)
    if images > 2:
        assert (grid.columns, grid.rows) == (1, 1)


@given(sides, sides, st.floats(1, 8))
def test_zooming_in_never_takes_fewer_tiles(width: int, height: int, zoom: float) -> None:
    plain = tiling.tile_grid((width, height), CANDIDATES, 384)
    zoomed = tiling.tile_grid((width, height), CANDIDATES, 384, zoom=zoom)
    assert zoomed.columns * zoomed.rows >= plain.columns * plain.rows
    assert zoomed.columns * zoomed.rows <= 9


def test_more_tiles_are_taken_only_where_they_show_more() -> None:
    wide = (1152, 768)
    assert tiling.tile_grid(wide, CANDIDATES, 384, zoom=1.5) == tiling.TileGrid(3, 2)
    assert tiling.tile_grid((768, 384), CANDIDATES, 384, zoom=1.5) == tiling.TileGrid(3, 2)


def test_a_tile_shown_twice_as_large_takes_four() -> None:
    assert tiling.tile_grid((384, 384), CANDIDATES, 384, zoom=2.0) == tiling.TileGrid(2, 2)
    assert tiling.tile_grid((1, 1), CANDIDATES, 384, zoom=0.1) == tiling.TileGrid(1, 1)


@given(st.integers(1, 9), st.integers(1, 9))
def test_token_count(columns: int, rows: int) -> None:
    grid = tiling.TileGrid(columns, rows)
    assert grid.tokens(14) == 14 * 15 + 1 + 14 * rows * (14 * columns + 1)


@given(st.integers(1, 3), st.integers(1, 3))
def test_tiles_are_cut_row_by_row(columns: int, rows: int) -> None:
    canvas = np.zeros((rows * 384, columns * 384, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            block = canvas[row * 384 : (row + 1) * 384, column * 384 : (column + 1) * 384]
            block[...] = 10 * (row * columns + column) + 5
    tiles = tiling.cut_tiles(Image.fromarray(canvas), tiling.TileGrid(columns, rows), 384)
    assert tiles.shape == (1 + columns * rows, 3, 384, 384)
    for index in range(columns * rows):
        assert (tiles[1 + index] == 10 * index + 5).all()


def test_normalised_range() -> None:
    tiles = np.array([0, 127, 255], np.uint8).reshape(1, 3, 1, 1).repeat(2, axis=0)
    pixels = tiling.normalise(tiles, [0.5] * 3, [0.5] * 3)
    assert pixels.dtype == np.float32
    assert pixels[0, 0, 0, 0] == -1
    assert pixels[0, 2, 0, 0] == 1
