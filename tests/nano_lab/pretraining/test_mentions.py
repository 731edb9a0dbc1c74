"""Words that name objects and colours."""

from __future__ import annotations

from nano_lab.pretraining.mentions import NOTHING, mentions
from nano_lab.pretraining.object_labels import COLOUR_CLASSES, NAME_CLASSES


def named(text: str) -> dict[str, tuple[str, str]]:
    """What every stretch of ``text`` that ends a mention names: its text so far, name, colour."""
    tokens = ["Ġ" if char == " " else char for char in text]
    found = {}
    for end, (name, colour) in enumerate(mentions(tokens), 1):
        if (name, colour) != (NOTHING, NOTHING):
            names = NAME_CLASSES[name] if name >= 0 else ""
            found[text[:end].split()[-1]] = (names, COLOUR_CLASSES[colour] if colour >= 0 else "")
    return found


def test_a_name_and_a_colour_end_with_their_last_letter() -> None:
    assert named("Where is the red car?") == {"red": ("", "red"), "car": ("car", "")}


def test_plurals_and_capitals_are_the_same_object() -> None:
    assert named("Buses and strawberries") == {
        "Buses": ("bus", ""),
        "strawberries": ("strawberry", ""),
    }


def test_parts_of_words_name_nothing() -> None:
    assert named("a scarred carpet, busy") == {}


def test_tokens_of_several_letters_are_between_words() -> None:
    tokens = ["<|ref|>", *"car", "<|/ref|>"]
    assert [name for name, _ in mentions(tokens)] == [-1, -1, -1, NAME_CLASSES.index("car"), -1]
