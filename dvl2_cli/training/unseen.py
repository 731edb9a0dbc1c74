"""Looks that training never shows, and what is not to be learnt from that.

No training picture holds an orange circle (see ``rendering.held_out``), which does not say that
there are none. Where something orange is named, "circle" is therefore left out of the names that
it is told apart from, as in compositional zero-shot learning, where pairs that were never seen are
no negative examples. What is seen stays the same: no such look is ever drawn or named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dvl2_cli.rendering.catalogue import plural
from dvl2_cli.rendering.held_out import HELD_OUT_SHAPES, HELD_OUT_TINTS
from dvl2_cli.rendering.sample import Turn
from dvl2_cli.training.things import NAMES, SHADES, name_class, shade_class

_LOOKS = sorted(HELD_OUT_SHAPES | HELD_OUT_TINTS)
_COLOURED = re.compile(rf"\b({'|'.join(sorted({colour for colour, _ in _LOOKS}))}) ", re.IGNORECASE)


def unseen_names() -> npt.NDArray[np.bool_]:
    """[colours, names], by the classes of ``things``: True where training never shows both."""
    unseen = np.zeros((len(SHADES), len(NAMES)), np.bool_)
    for colour, name in _LOOKS:
        unseen[shade_class(colour), name_class(name)] = True
    return unseen


def other_letters(turn: Turn) -> Iterator[tuple[int, str]]:
    """Characters of the answer, and a letter there that would begin to spell an unseen name.

    After "an orange " an "o" is right, and a "c" may be wrong for all that training shows.
    """
    for mention in turn.mentions:
        told = turn.answer[mention.start : mention.end]
        colour = _COLOURED.search(told)
        if colour is None:
            continue
        name, start = told[colour.end() :], mention.start + colour.end()
        letters = {
            (start + same, form[same])
            for form in _unseen_forms(colour[1].lower())
            if (same := _common_length(name, form)) < min(len(name), len(form))
        }
        yield from sorted(letters)


def _unseen_forms(colour: str) -> list[str]:
    names = [name for shade, name in _LOOKS if shade == colour]
    return [form for name in names for form in (name, plural(name))]


def _common_length(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
