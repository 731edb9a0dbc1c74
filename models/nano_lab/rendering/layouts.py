"""Which template of a document a sample is drawn with."""

from __future__ import annotations

import random

from dvl2_cli.prompts import extract_field
from nano_lab.rendering.held_out import HELD_OUT_LAYOUTS
from nano_lab.rendering.sample import Split, Turn

SIZES = ((384, 384),) * 5 + ((384, 512), (384, 640), (576, 576), (768, 768), (600, 450))

# Questions for fields in a training sample that is transcribed as well.
MAX_FIELDS = 5

# Pixels along a side of training pages, half of which have sides of any length.
_SHORTEST, _LONGEST = 340, 960


def random_size(rng: random.Random, split: Split) -> tuple[int, int]:
    """Width and height of a document."""
    if split == "train" and rng.random() < 0.5:
        return rng.randint(_SHORTEST, _LONGEST), rng.randint(_SHORTEST, _LONGEST)
    return rng.choice(SIZES)


def pick_layout(rng: random.Random, split: Split, kind: str, layouts: tuple[str, ...]) -> str:
    """One of ``layouts``; the test split draws only the held-out ones."""
    held_out = HELD_OUT_LAYOUTS[kind]
    return rng.choice([name for name in layouts if (name in held_out) == (split == "test")])


def field_turns(
    fields: dict[str, str], rng: random.Random, split: Split, most: int | None
) -> list[Turn]:
    """A question for every field, or for ``most`` of them in training; None for all."""
    turns = [Turn(extract_field(name), value, "field") for name, value in fields.items()]
    rng.shuffle(turns)
    return turns if split == "test" else turns[:most]
