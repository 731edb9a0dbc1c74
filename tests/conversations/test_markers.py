from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dvl2_cli.conversations.markers import IMAGE_TAG, with_markers, without_markers
from dvl2_cli.engine.request import Message


@pytest.mark.parametrize(
    ("text", "question", "places"),
    [
        ("no picture", "no picture", None),
        ("<image>\nWhat?", "What?", None),
        ("<image>\n<image>\nWhat differs?", "What differs?", None),
        ("<image> What?", " What?", (0,)),
        ("Is <image> in <image>?", "Is  in ?", (3, 7)),
        ("<image>\nIs it in <image>", "\nIs it in ", (0, 10)),
    ],
)
def test_places(text: str, question: str, places: tuple[int, ...] | None) -> None:
    count = text.count(IMAGE_TAG)
    assert without_markers(text) == (question, count, places)


@given(st.lists(st.text(alphabet="ab \n", max_size=4), min_size=1, max_size=5))
def test_a_message_shows_its_text_with_the_markers(pieces: list[str]) -> None:
    text = IMAGE_TAG.join(pieces)
    question, count, places = without_markers(text)
    message = Message("user", question, (Image.new("RGB", (2, 2)),) * count, places)
    assert message.shown == text


@given(st.text(), st.integers(0, 4))
def test_markers_in_front(question: str, count: int) -> None:
    if IMAGE_TAG not in question:
        assert without_markers(with_markers(question, count)) == (question, count, None)
