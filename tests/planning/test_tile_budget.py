import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from dvl2_cli.planning.tile_budget import MAX_TILES, choose_tiles, fitted_size, keeps

SIDES = st.integers(1, 3000)


def page(font_size: int, side: int = 1152) -> Image.Image:
    picture = Image.new("RGB", (side, side), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(font_size)
    for y in range(8, side - font_size, int(font_size * 1.4)):
        draw.text((8, y), "Invoice 1042, total 41.20 " * 8, font=font, fill="black")
    return picture


@given(SIDES, SIDES, st.integers(1, MAX_TILES))
def test_a_picture_is_never_enlarged_and_more_tiles_never_show_less(
    width: int, height: int, tiles: int
) -> None:
    small, large = fitted_size((width, height), tiles), fitted_size((width, height), MAX_TILES)
    assert small[0] <= width
    assert small[1] <= height
    assert small[0] * small[1] <= large[0] * large[1]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, MAX_TILES), st.integers(0, 99))
def test_the_choice_stays_within_the_limit(width: int, height: int, limit: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    chosen = choose_tiles(Image.fromarray(noise), limit)
    assert chosen is not None
    assert 1 <= chosen <= limit


@settings(max_examples=25, deadline=None)
@given(SIDES, SIDES)
def test_a_plain_picture_needs_one_tile(width: int, height: int) -> None:
    assert choose_tiles(Image.new("RGB", (width, height), (200, 30, 30))) == 1


def test_a_picture_that_fits_one_tile_needs_one() -> None:
    assert choose_tiles(page(12, side=380)) == 1


def test_small_print_keeps_every_tile() -> None:
    assert choose_tiles(page(14)) is None


def test_large_print_needs_fewer_tiles_than_small_print() -> None:
    counts = [choose_tiles(page(size)) or MAX_TILES for size in (14, 28, 96)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2]


def test_blurring_never_asks_for_more() -> None:
    sharp = page(20)
    blurred = sharp.filter(ImageFilter.GaussianBlur(9))
    assert choose_tiles(blurred) == 1
    assert (choose_tiles(sharp) or MAX_TILES) > 1


@pytest.mark.parametrize("scale", [1.0, 0.9, 0.5])
def test_what_is_kept_is_kept_when_the_picture_has_less_contrast(scale: float) -> None:
    grey = page(60).convert("L")
    flat = grey.point([int(96 + value * scale * 0.6) for value in range(256)])
    assert keeps(flat, (768, 768))
