"""Rows become strips of one height, black on white, cut between words."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dvl2_cli.tasks.reading.lines.find import find_lines
from dvl2_cli.tasks.reading.lines.order import in_reading_order
from dvl2_cli.tasks.reading.lines.pack import TILE, Layout, alone, pack
from dvl2_cli.tasks.reading.lines.strips import Strip, strips_of
from tests.tasks.reading.lines.drawing import Sheet

LAYOUT = Layout(height=40, pitch=64)


def shown(sheet: Sheet) -> list[Strip]:
    rows = [row for block in in_reading_order(find_lines(sheet.image)) for row in block.rows]
    return strips_of(sheet.image, rows, LAYOUT.height, LAYOUT.max_width)


def test_long_lines_are_cut_between_words() -> None:
    sheet = Sheet((1000, 60))
    sheet.write((20, 20), "The committee met on Tuesday to review the proposal for the bridge", 20)
    strips = shown(sheet)
    assert len(strips) >= 3
    assert not any(strip.glued for strip in strips)
    for strip in strips:
        assert strip.image.width <= LAYOUT.max_width
        ink = np.asarray(strip.image) < 128
        assert not ink[:, 0].any()
        assert not ink[:, -1].any()


def test_a_long_word_is_glued_again() -> None:
    sheet = Sheet((1400, 80))
    sheet.write((20, 20), "m" * 50, 24)
    strips = shown(sheet)
    assert len(strips) > 1
    assert [strip.glued for strip in strips] == [False] + [True] * (len(strips) - 1)


def test_cells_of_a_row_share_a_strip() -> None:
    sheet = Sheet()
    sheet.write((20, 20), "Bolt")
    sheet.write((300, 20), "12")
    sheet.write((500, 20), "4.50")
    (strip,) = shown(sheet)
    assert len(strip.widths) == 3
    assert strip.image.width <= LAYOUT.max_width


def test_light_print_is_shown_dark() -> None:
    sheet = Sheet(ground="#102040")
    sheet.write((20, 20), "Light on dark", 20, "white")
    (strip,) = shown(sheet)
    values = np.asarray(strip.image)
    assert np.median(values) > 240
    assert values.min() < 40


def test_canvases_hold_strips_in_order() -> None:
    strips = [Strip(n, Image.new("L", (50, 40), 10 * n), False, (50,)) for n in range(8)]
    canvases = pack(strips, LAYOUT)
    assert [[strip.row for strip in canvas.strips] for canvas in canvases] == [
        [0, 1, 2, 3, 4, 5],
        [6, 7],
    ]
    assert {canvas.image.size for canvas in canvases} == {(TILE, TILE)}
    values = np.asarray(canvases[0].image)[:, 30, 0]
    marks = [int(value) for value in values[32::64]]
    assert marks == [0, 10, 20, 30, 40, 50]
    lone = alone(strips[3], LAYOUT)
    assert lone.strips == (strips[3],)
    assert (np.asarray(lone.image)[:, 30, 0] < 255).sum() == round(0.85 * 40)


def test_lines_with_and_without_hanging_letters_are_shown_alike() -> None:
    sheet = Sheet()
    sheet.write((20, 20), "HELM", 20)
    sheet.write((20, 80), "HELMgy", 20)
    without, hanging = (np.asarray(strip.image) < 128 for strip in shown(sheet))
    first = without[:, : without.shape[1] - 4]
    rows = [np.flatnonzero(part.any(axis=1)) for part in (first, hanging[:, : first.shape[1]])]
    assert abs(int(rows[0][0]) - int(rows[1][0])) <= 1
    assert abs(int(rows[0][-1]) - int(rows[1][-1])) <= 1


def test_paper_alone_is_no_strip() -> None:
    sheet = Sheet((800, 60))
    # A little wider than one strip, all of it paper.
    sheet.write((20, 20), "The committee met on Tues", 20)
    assert all((np.asarray(strip.image) < 128).any() for strip in shown(sheet))


def test_the_last_cell_is_not_left_alone() -> None:
    sheet = Sheet((900, 60))
    for left, text in ((20, "Wednesday"), (300, "07:00"), (500, "19:30"), (700, "4")):
        sheet.write((left, 20), text)
    strips = shown(sheet)
    assert len(strips) == 2
    assert len(strips[-1].widths) > 1
