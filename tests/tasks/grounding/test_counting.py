from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dvl2_cli.engine.events import Confidence, Finished, FinishReason, Usage
from dvl2_cli.engine.request import Constraint, Message, Request
from dvl2_cli.tasks.grounding.counting import asks_how_many, count_by_boxes, counted_phrase
from dvl2_cli.tasks.grounding.tags import format_object

PICTURE = Image.new("RGB", (400, 400), "white")
BOXES = [(100.0, 100.0, 200.0, 200.0), (600.0, 600.0, 700.0, 700.0)]
QUESTION = "How many red cars are there?"


def asking(question: str = QUESTION, pictures: int = 1) -> Request:
    return Request((Message("user", question, (PICTURE,) * pictures),))


class Scripted:
    """Answers "how many" with ``direct`` and where with ``boxes``; every cutting shows a car."""

    def __init__(
        self,
        direct: str,
        boxes: list[tuple[float, float, float, float]],
        *,
        reason: FinishReason = "stop",
        stopped: FinishReason = "stop",
    ) -> None:
        self.direct, self.reason, self.stopped = direct, reason, stopped
        self.raw = format_object("red cars", boxes) if boxes else "There is no car in this image."
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Finished:
        (message,) = request.messages
        assert len(message.images) == message.shown.count("<image>") == 1
        question = message.content
        self.asked.append(question)
        if question == QUESTION:
            return finished(self.direct, self.reason)
        if question.startswith("Locate all"):
            return finished(self.raw, self.stopped)
        return finished(format_object("red cars", [(300, 300, 700, 700)]))


def finished(raw: str, reason: FinishReason = "stop") -> Finished:
    return Finished(raw, raw, reason, Usage(10, 5, 3, 0.1, 0.2), Confidence(0.9))


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("How many red cars are there?", "red cars"),
        ("how many T-shirts are in this image", "T-shirts"),
        ("How many dogs are there in the photo?", "dogs"),
        ("How many dogs can you see?", "dogs"),
        ("How many people are in the picture?", "people"),
    ],
)
def test_what_is_counted(question: str, phrase: str) -> None:
    assert counted_phrase(question) == phrase


@pytest.mark.parametrize(
    "question",
    [
        "How many objects are there?",
        "How many cars are in the top left?",
        "How many cars are there and what colour are they?",
        "How many hours are between the two times?",
        "How much is the total?",
        "Describe this image. How many cars are there?",
        "How many <|ref|>cars<|/ref|> are there?",
    ],
)
def test_other_questions_are_left_alone(question: str) -> None:
    assert counted_phrase(question) is None
    assert not asks_how_many(asking(question))


@given(st.text(max_size=80))
def test_any_text_may_be_a_question(text: str) -> None:
    phrase = counted_phrase(text)
    assert phrase is None or phrase in text


def test_only_one_picture_is_counted_in() -> None:
    assert asks_how_many(asking())
    assert not asks_how_many(asking(pictures=0))
    assert not asks_how_many(asking(pictures=2))
    messages = (
        Message("user", "What is it?", (PICTURE,)),
        Message("assistant", "a car"),
        Message("user", QUESTION),
    )
    assert asks_how_many(Request(messages))
    assert count_by_boxes(Request(messages), later).text == "2"
    constrained = Request(asking().messages, constraint=Constraint("regex", r"\d"))
    assert not asks_how_many(constrained)


def later(request: Request) -> Finished:
    if len(request.messages) > 1:
        return finished("1")
    return Scripted("1", BOXES)(request)


@pytest.mark.parametrize("direct", ["1", "one", "3", "Four.", "12"])
def test_a_number_is_checked_by_pointing(direct: str) -> None:
    script = Scripted(direct, BOXES)
    answer = count_by_boxes(asking(), script)
    assert (answer.text, answer.finish_reason) == ("2", "stop")
    assert answer.raw == f"{direct}\n" + format_object("red cars", BOXES)
    assert script.asked[1] == "Locate all <|ref|>red cars<|/ref|> in this image."
    # The question, where they are, and each from close by.
    assert len(script.asked) == 4
    assert answer.usage.completion_tokens == 12


def test_fewer_are_counted_too() -> None:
    assert count_by_boxes(asking(), Scripted("3", BOXES[:1])).text == "1"


@pytest.mark.parametrize("direct", ["0", "none", "there are 5", ""])
def test_other_answers_stay(direct: str) -> None:
    script = Scripted(direct, BOXES)
    assert count_by_boxes(asking(), script).text == direct
    assert len(script.asked) == 1


@pytest.mark.parametrize(("direct", "found"), [("1", 0), ("1", 1), ("2", 0), ("2", 2)])
def test_a_number_stays_where_as_many_or_none_are_found(direct: str, found: int) -> None:
    answer = count_by_boxes(asking(), Scripted(direct, BOXES[:found]))
    assert (answer.text, answer.raw) == (direct, direct)


def test_an_answer_that_ended_badly_counts_nothing() -> None:
    assert count_by_boxes(asking(), Scripted("1", BOXES, reason="length")).text == "1"
    assert count_by_boxes(asking(), Scripted("1", BOXES, stopped="loop")).text == "1"
    stopped = count_by_boxes(asking(), Scripted("1", BOXES, stopped="cancelled"))
    assert stopped.finish_reason == "cancelled"
    assert stopped.text == "1"
