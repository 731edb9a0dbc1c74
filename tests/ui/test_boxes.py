from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from dvl2_cli.ui import fonts
from dvl2_cli.ui.boxes import LabelledBox, colour_of, crop, draw_boxes, outline_boxes
from dvl2_cli.ui.labels import Rect, place_label


def test_boxes_change_the_picture_near_their_lines_only() -> None:
    picture = Image.new("RGB", (640, 480), (200, 200, 200))
    drawing = draw_boxes(picture, [LabelledBox((100, 100, 300, 200), "", 0)])
    assert drawing.scale == 1
    changed = ImageChops.difference(picture, drawing.image).getbbox()
    assert changed == (99, 99, 302, 202)
    assert drawing.image.getpixel((200, 150)) == (200, 200, 200)


def test_small_pictures_are_enlarged_so_that_labels_can_be_read() -> None:
    drawing = draw_boxes(Image.new("RGB", (100, 100)), [LabelledBox((10, 10, 60, 60), "dot")])
    assert drawing.scale == 5
    assert drawing.image.size == (500, 500)


def test_a_label_without_a_font_is_marked_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", lambda: ())
    fonts._covering.cache_clear()
    drawing = draw_boxes(
        Image.new("RGB", (500, 500)),
        [LabelledBox((0, 0, 99, 99), "car"), LabelledBox((100, 100, 400, 400), "红色汽车")],
    )
    fonts._covering.cache_clear()
    (note,) = drawing.notes
    assert note.startswith("no installed font can write '红色汽车': its box is marked #1;")


def test_control_characters_in_labels_are_drawn_as_blanks() -> None:
    drawing = draw_boxes(
        Image.new("RGB", (500, 500)), [LabelledBox((0, 0, 99, 99), "a\x1b[31mb\n")]
    )
    assert drawing.notes == ()


def test_outlines_on_a_shrunken_picture_are_one_pixel_wide() -> None:
    small = Image.new("RGB", (40, 30))
    item = LabelledBox((80, 40, 239, 199), "", 1)
    outline_boxes(small, [item], (40 / 400, 30 / 300))
    assert small.getbbox() == (8, 4, 24, 20)
    assert small.getpixel((8, 10)) == colour_of(item)
    assert small.getpixel((9, 10)) == (0, 0, 0)
    outline_boxes(small, [LabelledBox((395, 295, 400, 300), "", 2)], (40 / 400, 30 / 300))
    assert small.getpixel((39, 29)) != (0, 0, 0)


corner = st.floats(-50, 700, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 600),
    st.integers(1, 600),
    st.lists(st.tuples(corner, corner, corner, corner), max_size=6),
    st.text(max_size=30),
)
def test_any_box_and_label_can_be_drawn_and_cropped(
    width: int, height: int, corners: list[tuple[float, float, float, float]], label: str
) -> None:
    picture = Image.new("RGB", (width, height), "white")
    boxes = [
        LabelledBox((min(a, c), min(b, d), max(a, c), max(b, d)), label, index)
        for index, (a, b, c, d) in enumerate(corners)
    ]
    drawing = draw_boxes(picture, boxes)
    assert drawing.image.size == (width * drawing.scale, height * drawing.scale)
    for item in boxes:
        assert min(crop(picture, item.box).size) >= 1


def test_a_crop_covers_every_pixel_that_the_box_touches() -> None:
    assert crop(Image.new("RGB", (100, 80)), (10.4, 20.6, 30.2, 40.0)).size == (21, 20)


rects = st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(1, 99), st.integers(1, 99))


@given(rects, st.integers(1, 100), st.integers(1, 40), st.lists(rects, max_size=5))
def test_labels_stay_inside_the_picture(
    box: Rect, width: int, height: int, taken: list[Rect]
) -> None:
    x, y, w, h = box
    others = [(a, b, a + c, b + d) for a, b, c, d in taken]
    spot = place_label((x, y, x + w, y + h), (width, height), (400, 400), others)
    assert (spot[2] - spot[0], spot[3] - spot[1]) == (width, height)
    assert spot[0] >= 0
    assert spot[1] >= 0
    assert spot[2] <= 400
    assert spot[3] <= 400


def test_labels_of_crowded_boxes_do_not_overlap() -> None:
    placed: list[Rect] = []
    for _ in range(12):
        placed.append(place_label((100, 100, 300, 300), (80, 20), (640, 480), placed))
    for index, one in enumerate(placed):
        for other in placed[:index]:
            apart = one[2] <= other[0] or other[2] <= one[0]
            assert apart or one[3] <= other[1] or other[3] <= one[1]


def test_a_label_does_not_hide_a_small_box_at_the_top_edge() -> None:
    spot = place_label((100, 2, 120, 12), (60, 20), (640, 480), [])
    assert spot[1] >= 12
