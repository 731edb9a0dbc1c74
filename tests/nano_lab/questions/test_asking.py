"""Turns in other words."""

from __future__ import annotations

import random

import pytest

from nano_lab.foreign.measures import is_refusal
from nano_lab.questions.asking import REFUSALS, reworded
from nano_lab.rendering.sample import Turn


@pytest.mark.parametrize(
    ("turn", "kept"),
    [
        (Turn("How many cars are there?", "2", "count"), "cars"),
        (Turn("What is the invoice number?", "A-7", "field"), "invoice number"),
    ],
)
def test_english_questions_name_the_same_thing(turn: Turn, kept: str) -> None:
    seen = set()
    for seed in range(80):
        (asked,) = reworded((turn,), random.Random(seed), 0)
        assert (asked.answer, asked.task) == (turn.answer, turn.task)
        seen.add(asked.question)
    assert len(seen) > 40
    assert sum(kept in question.casefold() for question in seen) > len(seen) / 2


def test_other_languages_name_it_in_their_own() -> None:
    turn = Turn("What colour is the car?", "red", "colour")
    seen = {reworded((turn,), random.Random(seed), 0)[0].question.casefold() for seed in range(400)}
    for name in ("auto", "voiture", "coche", "汽车", "자동차"):
        assert any(name in question for question in seen), name


def test_a_colour_and_a_name_stay_english() -> None:
    turn = Turn("Where is the red car?", "top left", "where")
    for seed in range(60):
        (asked,) = reworded((turn,), random.Random(seed), 0)
        assert "red car" in asked.question.casefold()


def test_programs_questions_stay_as_they_are() -> None:
    turn = Turn("<|ref|>the car<|/ref|>.", "There is no car in this image.", "locate-none")
    assert reworded((turn,), random.Random(1), 0) == (turn,)


def test_long_transcripts_are_left_out() -> None:
    turns = (Turn("Read.", "x" * 900, "ocr"), Turn("Read.", "short", "ocr"))
    asked = reworded(turns, random.Random(1), 0)
    assert [turn.answer for turn in asked] == ["short"]


def test_refusals_are_one_sentence_that_says_so() -> None:
    asked = reworded((), random.Random(1), 30)
    assert {turn.answer for turn in asked} == set(REFUSALS.values())
    assert all(is_refusal(turn.answer) and turn.answer.count(".") == 1 for turn in asked)
