"""A page that was scanned askew is read level, and its boxes are those of the page."""

from __future__ import annotations

import pytest
from PIL import Image

from dvl2_cli.tasks.reading.lines.find import find_lines, glyphs_of
from dvl2_cli.tasks.reading.lines.upright import skew_of, upright
from tests.tasks.reading.lines.drawing import Sheet


def page(angle: float = 0.0) -> Sheet:
    sheet = Sheet((900, 600))
    for number in range(12):
        sheet.write((80, 60 + 36 * number), f"The {number} ferries leave at noon on weekdays", 20)
    sheet.image = sheet.image.rotate(-angle, Image.Resampling.BICUBIC, fillcolor="white")
    return sheet


@pytest.mark.parametrize("angle", [-2.5, 0.0, 0.7, 3.0])
def test_the_skew_is_measured(angle: float) -> None:
    assert skew_of(glyphs_of(page(angle).image)) == pytest.approx(angle, abs=0.15)


def test_lines_are_level_and_boxes_return_to_the_page() -> None:
    askew = page(2.0).image
    level = upright(askew, glyphs_of(askew))
    lines = sorted(find_lines(level.image), key=lambda line: line.top)
    assert len(lines) == 12
    assert max(line.height for line in lines) < 30
    left, top, right, bottom = level.on_page(lines[0].box)
    # Two degrees over its width of about 400 pixels.
    assert bottom - top == pytest.approx(lines[0].height + 0.035 * (right - left), abs=3)


def test_a_level_page_stays_as_it_is() -> None:
    image = page().image
    level = upright(image, glyphs_of(image))
    assert level.image is image
    assert level.on_page((1.0, 2.0, 3.0, 4.0)) == (1.0, 2.0, 3.0, 4.0)
