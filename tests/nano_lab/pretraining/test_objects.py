"""Which tokens show an object, and what is known of it."""

from __future__ import annotations

import pytest

from dvl2_cli.finetuning.batch import PlacedImage
from nano_lab.pretraining.object_labels import COLOUR_CLASSES, NAME_CLASSES
from nano_lab.pretraining.objects import NO_OBJECT, join_objects, object_at, placed_objects
from nano_lab.rendering.sample import SceneObject

CAR = SceneObject("car", "red", (96.0, 192.0, 192.0, 288.0))
SQUARE = (384, 384)


def test_facts_are_name_colour_and_box() -> None:
    seen = placed_objects([CAR], SQUARE, PlacedImage((0, 0), 1, 1))[0]
    assert NAME_CLASSES[int(seen.facts[0])] == "car"
    assert COLOUR_CLASSES[int(seen.facts[1])] == "red"
    assert seen.facts[2:] == (0.25, 0.5, 0.5, 0.75)


def test_the_cells_lie_on_the_object_in_the_tile_and_its_thumbnail() -> None:
    seen = placed_objects([CAR], SQUARE, PlacedImage((0, 0), 1, 1))[0]
    views = [divmod(cell, 211) for cell in seen.cells]
    assert {view for view, _ in views} == {0, 1}
    for view in (0, 1):
        places = {divmod(cell, 15) for number, cell in views if number == view}
        # The box is 3.4 to 6.9 cells from the left and 6.9 to 10.3 from the top.
        assert (8, 5) in places
        assert all(6 <= row <= 10 and 3 <= column <= 6 for row, column in places)


def test_with_several_tiles_the_thumbnail_shows_the_object_smaller() -> None:
    item = SceneObject("car", "red", (480.0, 96.0, 672.0, 288.0))
    seen = placed_objects([item], (768, 384), PlacedImage((0, 1, 2), 2, 1))[0]
    local = [cell - 211 for cell in seen.cells if cell >= 211]
    # Lines of two tiles and a newline; the object lies in the second tile.
    assert all(14 <= cell % 29 < 28 for cell in local)
    thumbnail = {divmod(cell, 15) for cell in seen.cells if cell < 211}
    # The picture lies across the middle: the object is 240 to 336 by 144 to 240 pixels there.
    assert (6, 10) in thumbnail
    assert all(5 <= row <= 8 and 8 <= column <= 11 for row, column in thumbnail)
    assert len(local) > 2 * len(thumbnail) > 0


@pytest.mark.parametrize(
    ("spot", "found"), [((144, 240), 0), ((300, 60), 1), ((10, 10), NO_OBJECT)]
)
def test_the_object_at_a_spot(spot: tuple[float, float], found: int) -> None:
    sun = SceneObject("sun", "yellow", (280.0, 40.0, 320.0, 80.0))
    assert object_at(spot, [CAR, sun], SQUARE) == found


def test_rows_number_their_objects_on() -> None:
    seen = placed_objects([CAR], SQUARE, PlacedImage((0, 0), 1, 1))
    objects = join_objects([None, ([-1, 0], seen), ([0, -1, 0], seen)], 512)
    assert objects is not None
    assert objects.of[:, :3].tolist() == [[-1, -1, -1], [-1, 0, -1], [1, -1, 1]]
    assert objects.areas.shape == (2, 512)
    assert int(objects.areas[0].sum()) == len(set(seen[0].cells))


def test_no_objects_are_nothing() -> None:
    assert join_objects([None, None], 128) is None
