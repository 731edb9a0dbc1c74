from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.tasks.grounding.coordinates import from_pixels, to_pixels
from dvl2_cli.tasks.grounding.tags import Box999

sides = st.integers(20, 20_000)
boxes = st.tuples(*[st.integers(0, 999)] * 4)


def test_the_scale_is_999() -> None:
    assert to_pixels((0, 0, 999, 999), 1920, 1080) == (0, 0, 1920, 1080)
    assert to_pixels((220, 270, 422, 720), 1920, 1080) == (422.82, 291.89, 811.05, 778.38)


@given(boxes, sides, sides)
def test_pixels_lead_back_to_the_same_numbers(box: Box999, width: int, height: int) -> None:
    pixels = to_pixels(box, width, height)
    assert all(0 <= value <= size for value, size in zip(pixels, (width, height) * 2, strict=True))
    assert from_pixels(pixels, width, height) == box
