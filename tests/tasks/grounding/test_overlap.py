from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.tasks.grounding.overlap import SAME, iou, without_repeats
from dvl2_cli.tasks.grounding.tags import Box999

corners = st.integers(0, 998)


@st.composite
def boxes(draw: st.DrawFn) -> Box999:
    x, y = draw(corners), draw(corners)
    return (x, y, draw(st.integers(x + 1, 999)), draw(st.integers(y + 1, 999)))


def test_iou_by_hand() -> None:
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0
    assert iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0


@given(boxes(), boxes())
def test_iou_is_symmetric_and_bounded(left: Box999, right: Box999) -> None:
    assert iou(left, right) == iou(right, left)
    assert 0 <= iou(left, right) <= 1
    assert iou(left, left) == 1


@given(st.lists(boxes(), max_size=8))
def test_what_is_kept_does_not_repeat(found: list[Box999]) -> None:
    kept, repeats = without_repeats(found)
    assert sorted(kept + repeats) == sorted(found)
    assert kept[:1] == found[:1]
    assert all(iou(a, b) < SAME for i, a in enumerate(kept) for b in kept[:i])
    assert all(any(iou(box, other) >= SAME for other in kept) for box in repeats)
