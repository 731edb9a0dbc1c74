"""Lines of print are found on any plain ground, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFont

from dvl2_cli.tasks.reading.lines.components import components_of, labelled_runs
from dvl2_cli.tasks.reading.lines.find import find_lines
from dvl2_cli.tasks.reading.lines.line import LineBox
from tests.tasks.reading.lines.drawing import Colour, Sheet


def near(line: LineBox, box: tuple[float, float, float, float], tolerance: float = 3) -> bool:
    """Whether the line stands where the text was written."""
    return bool(np.abs(np.subtract(line.box, box)).max() <= tolerance)


@pytest.mark.parametrize(("ground", "ink"), [("white", "black"), ("#1e1e2e", "#cdd6f4")])
@pytest.mark.parametrize("size", [9, 16, 40, 100])
def test_print_of_any_size_and_colour(ground: Colour, ink: Colour, size: int) -> None:
    sheet = Sheet((1600, 400), ground)
    sheet.write((40, 30), "Fine print", size, ink)
    sheet.write((40, 200), "Two words here", size, ink)
    lines = sorted(find_lines(sheet.image), key=lambda line: line.top)
    assert len(lines) == 2
    tolerance = 2 + 0.1 * size
    assert near(lines[0], sheet.boxes["Fine print"], tolerance)
    assert near(lines[1], sheet.boxes["Two words here"], tolerance)


def test_light_and_dark_ground_on_one_page() -> None:
    sheet = Sheet()
    sheet.draw.rectangle((0, 0, 640, 60), fill="#222222")
    sheet.write((20, 20), "Banner", 20, "white")
    sheet.write((20, 100), "Body of the page")
    sheet.draw.rounded_rectangle((20, 160, 140, 200), 6, fill="#00aa77")
    sheet.write((50, 172), "Button", 16, "white")
    lines = find_lines(sheet.image)
    assert len(lines) == 3
    for box in sheet.boxes.values():
        assert any(near(line, box) for line in lines)


def test_rules_frames_and_leaders_are_no_print() -> None:
    sheet = Sheet()
    sheet.draw.rectangle((20, 20, 300, 60), outline="black", width=2)
    sheet.draw.line((20, 100, 600, 100), fill="black")
    sheet.draw.line((320, 20, 320, 400), fill="grey")
    for x in range(120, 400, 8):
        sheet.draw.rectangle((x, 150, x + 1, 151), fill="black")
    sheet.write((30, 32), "framed")
    sheet.write((20, 137), "Soup")
    sheet.write((410, 137), "6.50")
    lines = find_lines(sheet.image)
    assert len(lines) == 3
    for box in sheet.boxes.values():
        assert any(near(line, box, 5) for line in lines)


def test_an_empty_page_has_no_lines() -> None:
    assert find_lines(Image.new("RGB", (500, 700), "#fdf6e3")) == []
    grey = np.linspace(90, 200, 600).astype(np.uint8)
    shaded = Image.fromarray(np.repeat(grey[None, :, None], 400, 0).repeat(3, 2))
    assert find_lines(shaded) == []
    assert find_lines(Image.new("RGB", (1, 1))) == []
    assert find_lines(Image.new("RGB", (1, 20_000))) == []


def test_cells_stay_apart_and_words_together() -> None:
    sheet = Sheet()
    sheet.write((20, 20), "Description of the thing")
    sheet.write((400, 20), "12.50")
    assert len(find_lines(sheet.image)) == 2


def test_components_are_boxes_of_what_touches() -> None:
    mask = np.zeros((6, 9), np.bool_)
    mask[0, 0:3] = mask[1, 3] = True  # diagonal neighbours touch
    mask[3:6, 6] = mask[5, 2:7] = True
    mask[3, 2] = True
    found = components_of(labelled_runs(mask))
    boxes = set(zip(found.left, found.top, found.right, found.bottom, found.area, strict=True))
    assert boxes == {(0, 0, 4, 2, 4), (2, 3, 3, 4, 1), (2, 3, 7, 6, 7)}


def test_bars_of_a_chart_are_no_print() -> None:
    sheet = Sheet()
    for row, length in enumerate((300, 120, 210)):
        top = 20 + 60 * row
        sheet.draw.rectangle((80, top, 80 + length, top + 30), outline="black", fill="#aa3322")
        sheet.write((30, top + 8), str(2000 + row))
    lines = find_lines(sheet.image)
    assert len(lines) == 3
    for box in sheet.boxes.values():
        assert any(near(line, box, 5) for line in lines)


def test_a_long_page_is_searched_in_parts_and_keeps_its_print() -> None:
    sheet = Sheet((300, 12_000))
    for number in range(300):
        sheet.write((20, 20 + 39 * number), f"Row {number}")
    lines = sorted(find_lines(sheet.image), key=lambda line: line.top)
    assert len(lines) == 300
    for line, box in zip(lines, sheet.boxes.values(), strict=True):
        assert near(line, box)


def test_a_rule_that_letters_touch_joins_no_words() -> None:
    sheet = Sheet()
    sheet.write((30, 40), "Qty")
    sheet.write((300, 40), "Quay")
    bottom = max(box[3] for box in sheet.boxes.values())
    sheet.draw.rectangle((20, bottom - 2, 600, bottom - 1), fill="black")
    lines = sorted(find_lines(sheet.image), key=lambda line: line.left)
    assert len(lines) == 2
    for line, box in zip(lines, sheet.boxes.values(), strict=True):
        assert near(line, box, 4)


def test_a_row_of_dashes_is_no_print() -> None:
    sheet = Sheet()
    sheet.write((30, 40), "Receipt", 24)
    sheet.write((30, 120), "Thank you", 24)
    for left in range(30, 500, 14):
        sheet.draw.rectangle((left, 90, left + 8, 95), fill="black")
    assert len(find_lines(sheet.image)) == 2


def test_letters_that_touch_the_next_line_join_no_lines() -> None:
    sheet = Sheet()
    sheet.write((30, 40), "Rye bread", 24)
    sheet.write((30, 68), "4.89 today", 24)
    sheet.draw.line((60, 50, 60, 80), fill="black", width=2)
    assert len(find_lines(sheet.image)) == 2


def test_the_baseline_and_the_height_of_capitals() -> None:
    sheet = Sheet()
    sheet.write((30, 40), "Happy Monday", 40)
    sheet.write((30, 140), "HALT", 40)
    font = ImageFont.load_default(40)
    capitals = sheet.draw.textbbox((0, 0), "H", font)
    high, low = sorted(find_lines(sheet.image), key=lambda line: line.top)
    for line, top in ((high, 40), (low, 140)):
        assert abs(line.feet - (top + capitals[3])) <= 2
        assert abs(line.capitals - (capitals[3] - capitals[1])) <= 2
