from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from dvl2_cli.planning.print_size import (
    LARGE,
    MAX_PRINT_ZOOM,
    SMALL,
    print_height,
    print_zoom,
    shown_zoom,
)


def page(font_size: int, side: int = 768, paper: str = "white", ink: str = "black") -> Image.Image:
    picture = Image.new("RGB", (side, side), paper)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(font_size)
    for y in range(12, side - 2 * font_size, int(font_size * 1.5)):
        draw.text((8, y), "Happy dogs jump, 41.20 each " * 8, font=font, fill=ink)
    return picture


@pytest.mark.parametrize("font_size", [12, 16, 24, 40])
def test_print_is_as_high_as_its_letters(font_size: int) -> None:
    ascent, descent = ImageFont.load_default(font_size).getbbox("bg")[1::2]
    height = print_height(page(font_size))
    assert height is not None
    assert height == pytest.approx(descent - ascent, rel=0.2)


def test_light_print_on_dark_paper_counts() -> None:
    dark = print_height(page(16, paper="#202030", ink="#e0e0d0"))
    assert dark == print_height(page(16))


def test_small_print_is_enlarged_and_large_print_is_not() -> None:
    zooms = [print_zoom(page(size)) for size in (8, 12, 16, 32, 60)]
    assert zooms == sorted(zooms, reverse=True)
    assert zooms[0] == MAX_PRINT_ZOOM
    assert zooms[-2:] == [1.0, 1.0]


def test_enlarged_print_is_large_enough() -> None:
    picture = page(14)
    zoom = print_zoom(picture)
    assert zoom > 1
    shown = picture.resize((round(picture.width * zoom), round(picture.height * zoom)))
    height = print_height(shown)
    assert height == pytest.approx(LARGE, rel=0.15)
    assert print_zoom(shown) == 1.0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 99))
def test_no_picture_is_too_odd(width: int, height: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert 1.0 <= print_zoom(Image.fromarray(noise)) <= MAX_PRINT_ZOOM


def test_pictures_without_print_stay_as_they_are() -> None:
    picture = Image.new("RGB", (384, 384), "white")
    draw = ImageDraw.Draw(picture)
    for x, y, size in ((20, 30, 90), (200, 60, 120), (100, 220, 60), (260, 260, 40)):
        draw.ellipse((x, y, x + size, y + size), fill="red")
    assert print_height(picture) is None
    assert print_zoom(picture) == 1.0
    assert print_zoom(Image.new("RGB", (384, 384), "white")) == 1.0


def test_bars_are_no_print() -> None:
    picture = Image.new("RGB", (900, 300), "white")
    for y in range(20, 280, 40):
        ImageDraw.Draw(picture).rectangle((0, y, 900, y + 10), fill="black")
    assert print_height(picture) is None


def test_a_few_lines_are_not_enough_to_tell() -> None:
    picture = Image.new("RGB", (96, 200), "white")
    ImageDraw.Draw(picture).text((4, 90), "a label", font=ImageFont.load_default(12), fill="black")
    assert print_height(picture) is None


@pytest.mark.parametrize(
    ("asked", "own", "shown"),
    [(None, None, 1.0), (None, LARGE, SMALL), ("auto", None, SMALL), (1.5, LARGE, 1.5)],
)
def test_what_is_asked_for_goes_before_what_the_checkpoint_says(
    asked: Any, own: Any, shown: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvl2_cli.planning.print_size.print_zoom", lambda image, height: SMALL)
    assert shown_zoom(asked, own, page(12, side=100)) == shown
