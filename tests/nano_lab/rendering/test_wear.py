"""Wear: what it does to pixels, and that boxes follow a rotation."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nano_lab.rendering import wear
from nano_lab.rendering.canvas import Canvas
from nano_lab.rendering.sample import Glyph
from nano_lab.rendering.wear import CLEAN, Wear, random_wear

WHITE = (255, 255, 255)


def _with_square(x: int, y: int) -> Canvas:
    canvas = Canvas(Image.new("RGB", (200, 120), WHITE))
    canvas.draw.rectangle((x, y, x + 9, y + 9), fill=(0, 0, 0))
    canvas.glyphs.append(Glyph("x", (x, y, x + 10, y + 10), 0, 0))
    return canvas


@given(
    x=st.integers(20, 170), y=st.integers(20, 90), degrees=st.floats(-3, 3, allow_subnormal=False)
)
def test_boxes_follow_the_rotation(x: int, y: int, degrees: float) -> None:
    canvas = _with_square(x, y)
    wear.apply(canvas, Wear(degrees=degrees), WHITE, random.Random(0))
    dark = np.argwhere(np.asarray(canvas.image.convert("L")) < 128)
    centre_y, centre_x = dark.mean(axis=0) + 0.5
    box = canvas.glyphs[0].box
    assert (box[0] + box[2]) / 2 == pytest.approx(centre_x, abs=0.7)
    assert (box[1] + box[3]) / 2 == pytest.approx(centre_y, abs=0.7)


def test_text_at_the_edge_is_not_turned_out_of_the_picture() -> None:
    canvas = _with_square(0, 0)
    before = canvas.image.tobytes()
    wear.apply(canvas, Wear(degrees=3), WHITE, random.Random(0))
    assert canvas.image.tobytes() == before


def test_clean_changes_nothing_and_damage_does() -> None:
    for damage in (Wear(blur=0.8), Wear(noise=8), Wear(shade=30), Wear(jpeg=40)):
        canvas = _with_square(50, 50)
        before = canvas.image.tobytes()
        wear.apply(canvas, CLEAN, WHITE, random.Random(0))
        assert canvas.image.tobytes() == before
        wear.apply(canvas, damage, WHITE, random.Random(0))
        assert canvas.image.tobytes() != before
        assert canvas.image.size == (200, 120)


@given(st.integers(0, 10_000))
def test_random_wear_is_light(seed: int) -> None:
    found = random_wear(random.Random(seed), 1.0)
    assert abs(found.degrees) <= 3
    assert found.blur <= 0.9
    assert found.jpeg == 0 or found.jpeg >= 35
