"""The objects that captions name."""

from __future__ import annotations

import pytest

from nano_lab.evaluation.object_names import names_in, objects_f1


def test_names_with_counts_plurals_and_names_inside_names() -> None:
    caption = "Two small red cars, a hot dog, 3 mice and a teddy bear near a purple square."
    found = {"car": 2, "hot dog": 1, "mouse": 3, "teddy bear": 1, "square": 1}
    assert names_in(caption) == found
    # Neither "carpet" nor "doghouse" holds a known object.
    assert not names_in("A carpet in the doghouse.")


def test_objects_f1_by_hand() -> None:
    assert objects_f1(["car", "car", "dog"], "Two cars and a dog.") == 1
    assert objects_f1(["car", "car", "dog"], "A car and a cat.") == pytest.approx(2 / 5)
    assert objects_f1(["car"], "Nothing here.") == 0
