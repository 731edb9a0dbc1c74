"""The held-out wordings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dvl2_cli.prompts import PRESETS
from nano_lab.foreign.drawing.document import Drawn
from nano_lab.foreign.drawing.scenes import Placed, Scene
from nano_lab.foreign.questions import INTENTS, Question, questions, wordings


def scenes() -> list[Scene]:
    tree = Placed("tree", "green", (180, 180, 210, 220))
    return [
        Scene("a", Path("a.png"), (300, 300), (Placed("car", "red", (5, 5, 60, 60)), tree)),
        Scene("b", Path("b.png"), (300, 300), (Placed("frog", "green", (210, 10, 280, 60)),)),
    ]


def documents() -> list[Drawn]:
    values = {"number": "INV-9", "date": "1 May 2030", "total": "$7.00"}
    here = Path("x.png")
    return [
        Drawn("snippet", "s", here, "The ferry leaves.", "The ferry leaves."),
        Drawn("invoice", "i", here, "INV-9", "INV-9", values),
        Drawn("table", "t", here, "", "", {}, (("Team", "Won"), ("Rovers", "15"))),
        Drawn("chart", "c", here, "Bus 89", "Bus 89", {"Bus": "89"}),
        Drawn("letter", "l", here, "Dear Ada", "Dear Ada"),
    ]


def test_there_are_three_hundred_and_no_two_alike() -> None:
    rows = wordings()
    assert len(rows) >= 300
    assert len({wording.casefold() for _, _, wording in rows}) == len(rows)
    assert set(Counter(intent for intent, _, _ in rows)) == set(INTENTS)
    assert {"en", "de", "fr", "es", "zh", "ko"} == {language for _, language, _ in rows}


def test_no_wording_is_one_that_training_asks() -> None:
    trained = {preset.casefold() for preset in PRESETS.values()}
    trained |= {
        "how many {plural} are there?", "how many {plural} are in this image?",
        "what colour is the {name}?", "what color is the {name}?", "where is the {name}?",
        "what is {place}?", "is there {a}?", "what is the {field}?",
    }  # fmt: skip
    assert not trained & {wording.casefold() for _, _, wording in wordings()}


def test_every_wording_is_asked_and_the_same_way_every_time() -> None:
    asked = questions(scenes(), documents())
    assert len(asked) == len(wordings())
    assert asked == questions(scenes(), documents())
    assert not any("{" in question.text for question in asked)


def question(intent: str, *accepted: str) -> Question:
    return Question(intent, "en", "?", Path("a.png"), accepted)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (question("count", "2"), "There are two dogs."),
        (question("exists", "no"), "No, there is not."),
        (question("exists", "yes"), "Ja."),
        (question("where", "top/oben", "left/links"), "in the top left"),
        (question("where", "top/oben", "left/links"), "Oben links."),
        (question("colour", "red", "rot"), "rot"),
        (question("describe", "car", "tree"), "A red car on a lawn."),
        (question("translate"), "I cannot translate; I can read the text."),
    ],
)
def test_right_answers(asked: Question, answer: str) -> None:
    assert asked.is_right(answer)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (question("count", "2"), "3"),
        (question("exists", "no"), "yes"),
        (question("where", "top/oben", "left/links"), "top right"),
        (question("colour", "red", "rot"), "green"),
        (question("colour", "red", "rot"), "I cannot tell."),
        (question("describe", "car", "tree", "dog"), "A car."),
        (question("translate"), "Der Hund"),
    ],
)
def test_wrong_answers(asked: Question, answer: str) -> None:
    assert not asked.is_right(answer)
