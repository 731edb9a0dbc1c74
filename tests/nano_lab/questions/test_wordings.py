"""Wordings for training."""

from __future__ import annotations

import random

import pytest

from nano_lab.foreign.questions import wordings as held_out
from nano_lab.questions.wordings import (
    LANGUAGES,
    expanded,
    patterns,
    plain,
    random_language,
    random_wording,
)

INTENTS = sorted({intent for intent, _ in patterns()})


@pytest.mark.parametrize("intent", INTENTS)
def test_every_intent_has_fifty_wordings_in_english(intent: str) -> None:
    rng = random.Random(1)
    found = {expanded(rng.choice(patterns()[intent, "en"]), rng) for _ in range(2000)}
    assert len(found) >= 50


@pytest.mark.parametrize("intent", INTENTS)
def test_every_intent_is_asked_in_every_language(intent: str) -> None:
    assert all(patterns()[intent, language] for language in LANGUAGES)


def test_no_wording_of_the_foreign_suite_is_drawn() -> None:
    rng = random.Random(2)
    kept = {plain(wording) for _, _, wording in held_out()}
    for _ in range(4000):
        wording = random_wording(rng.choice(INTENTS), random_language(rng), rng)
        assert plain(wording) not in kept


def test_slots_survive_slips_of_typing() -> None:
    rng = random.Random(3)
    for _ in range(500):
        wording = random_wording("colour", "en", rng)
        assert wording.count("{name}") == 1


def test_choices_may_be_empty() -> None:
    rng = random.Random(4)
    found = {expanded("(a|b) c(.|)", rng) for _ in range(50)}
    assert found == {"a c", "b c", "a c.", "b c."}
