from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dvl2_cli.engine.events import Confidence, Finished, FinishReason, Usage
from dvl2_cli.tasks.grounding.locating import Located, ground_result
from dvl2_cli.tasks.grounding.parse import Region
from dvl2_cli.tasks.grounding.refine import SHOWN, crop_around, filter_confirmed_boxes, refine_boxes
from dvl2_cli.tasks.grounding.tags import Box999, format_object

PICTURE = Image.new("RGB", (999, 999), "white")
BOX = (400.0, 400.0, 500.0, 500.0)
OTHER = (700.0, 100.0, 800.0, 200.0)


def finished(raw: str, reason: FinishReason = "stop") -> Finished:
    return Finished(raw, raw, reason, Usage(10, 5, 3, 0.1, 0.2), Confidence(0.9))


def located(*boxes: Box999, query: str = "car") -> Located:
    return Located(query, finished(format_object("car", boxes)))


def boxes(prediction: Located) -> list[Box999]:
    return [region.box for region in prediction.found.regions]


def answering(raw: str) -> Callable[[Image.Image, str], Finished]:
    return lambda image, about: finished(raw)


def test_the_box_is_the_mean_of_both_readings() -> None:
    # The cutting goes from 325 to 576, so its middle third is about 409 to 492.
    prediction = refine_boxes(
        located(BOX), PICTURE, answering(format_object("car", [(333, 333, 666, 666)]))
    )
    ((x0, y0, x1, y1),) = boxes(prediction)
    assert (x0, x1) == (y0, y1) == (404, 496)
    assert len(prediction.again) == 1


@pytest.mark.parametrize(
    "raw",
    [
        "There is no car in this image.",
        format_object("car", [(0, 0, 100, 100)]),
        "<|ref|>car<|/ref|><|det|>[[1, 2, 3]]<|/det|>",
        "",
    ],
)
def test_a_single_box_stays_if_nothing_agrees_with_it(raw: str) -> None:
    assert boxes(refine_boxes(located(BOX), PICTURE, answering(raw))) == [BOX]


def test_of_several_boxes_those_that_hold_nothing_are_left_out() -> None:
    def ask(image: Image.Image, about: str) -> Finished:
        held = image.getpixel((SHOWN // 2, SHOWN // 2)) == (255, 0, 0)
        boxed = format_object("car", [(300, 300, 700, 700)])
        return finished(boxed if held else "There is no car in this image.")

    picture = PICTURE.copy()
    picture.paste("red", (700, 100, 800, 200))
    ((x0, _, _, y1),) = boxes(refine_boxes(located(BOX, OTHER), picture, ask))
    assert (x0, y1) == (700, 200)
    # If none holds anything, the second look is not believed.
    absent = answering("There is no car in this image.")
    assert boxes(refine_boxes(located(BOX, OTHER), picture, absent)) == [BOX, OTHER]


def test_boxes_that_settle_on_one_object_are_told_once() -> None:
    near = (430.0, 400.0, 530.0, 500.0)
    for other in (near, BOX):
        assert boxes(refine_boxes(located(BOX, other), PICTURE, answering("x"))) == [BOX]
    # Two that were prediction apart may settle on the very same numbers.
    assert filter_confirmed_boxes([(Region("car", BOX, None), BOX)] * 2) == (
        Region("car", BOX, None),
    )


@pytest.mark.parametrize(
    ("phrase", "about"),
    [
        ("red car", "red car"),
        ("the object in the top right", "the object in the centre"),
        ("bicycle on the left", "bicycle in the centre"),
        ("A hat at the bottom", "A hat in the centre"),
        ("car in the centre", "car in the centre"),
    ],
)
def test_what_stood_somewhere_stands_in_the_middle_of_the_cutting(phrase: str, about: str) -> None:
    asked: list[tuple[str, tuple[int, int]]] = []

    def ask(image: Image.Image, about: str) -> Finished:
        asked.append((about, image.size))
        return finished("")

    refine_boxes(located(BOX, query=phrase), PICTURE, ask)
    assert asked == [(about, (SHOWN, SHOWN))]


def test_a_stopped_second_look_leaves_the_answer_and_says_so() -> None:
    stopped = finished(format_object("car", [(300, 300, 700, 700)]), "cancelled")
    prediction = refine_boxes(located(BOX), PICTURE, lambda image, about: stopped)
    assert boxes(prediction) == [BOX]
    assert ground_result([prediction], PICTURE.size).finish_reason == "cancelled"


def test_only_whole_answers_to_a_phrase_are_looked_at_again() -> None:
    def ask(image: Image.Image, about: str) -> Finished:
        raise AssertionError

    cut_off = Located("car", finished(format_object("car", [BOX]), "length"))
    caption = Located(None, finished(format_object("car", [BOX])))
    crowd = located(*[(x, 0.0, x + 10, 10.0) for x in range(0, 900, 30)])
    nothing = Located("car", finished("There is no car in this image."))
    for prediction in (cut_off, caption, crowd, nothing):
        assert boxes(refine_boxes(prediction, PICTURE, ask)) == boxes(prediction)


def test_every_question_is_in_the_usage() -> None:
    prediction = refine_boxes(located(BOX, OTHER), PICTURE, answering(""))
    usage = ground_result([prediction], PICTURE.size).usage
    assert usage is not None
    assert usage.prompt_tokens == 30


@given(st.tuples(*[st.floats(0, 999)] * 4), st.tuples(st.integers(1, 4000), st.integers(1, 4000)))
def test_a_cutting_lies_in_the_picture_and_holds_the_box(
    box: Box999, size: tuple[int, int]
) -> None:
    x0, x1 = sorted((box[0], box[2]))
    y0, y1 = sorted((box[1], box[3]))
    left, top, right, bottom = crop_around((x0, y0, x1, y1), size)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert left <= x0 / 999 * size[0] + 1
    assert right >= x1 / 999 * size[0] - 1
