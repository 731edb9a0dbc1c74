"""Looks that training never shows, and what is not to be learnt from that.

No training picture holds an orange circle (see ``rendering.held_out``), which does not say that
there are none. Where something orange is named, "circle" is therefore left out of the names that
it is told apart from, and where a circle is, "orange" out of the colours, as in compositional
zero-shot learning, where pairs that were never seen are no negative examples. Where a colour has no
name, no colour is taught to be wrong. What is seen stays the same: no such pair is ever drawn or
named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nano_lab.pretraining.object_labels import (
    COLOUR_CLASSES,
    NAME_CLASSES,
    colour_class,
    name_class,
)
from nano_lab.rendering.catalogue import COLOURS, EMOJI, SHAPES, plural, with_article
from nano_lab.rendering.held_out import HELD_OUT_SHAPES, HELD_OUT_TINTS
from nano_lab.rendering.sample import Turn

_HELD_OUT_PAIRS = sorted(HELD_OUT_SHAPES | HELD_OUT_TINTS)
# What comes in any colour.
_PAINTED = (*SHAPES, *(emoji.name for emoji in EMOJI if emoji.tintable))
_FORMS = sorted({form for name in _PAINTED for form in (name, plural(name))})
# A name with the colour that is told of it and the article, if any.
_PAIR = re.compile(
    rf"\b(?P<article>an? )?(?P<colour>(?:{'|'.join(COLOURS)}) )?(?P<name>{'|'.join(_FORMS)})\b",
    re.IGNORECASE,
)
_COLOURED = re.compile(
    rf"\b({'|'.join(sorted({colour for colour, _ in _HELD_OUT_PAIRS}))}) ", re.IGNORECASE
)


def held_out_pairs() -> npt.NDArray[np.bool_]:
    """[colours, names], by the classes of ``objects``: True where training never shows both."""
    held_out = np.zeros((len(COLOUR_CLASSES), len(NAME_CLASSES)), np.bool_)
    for colour, name in _HELD_OUT_PAIRS:
        held_out[colour_class(colour), name_class(name)] = True
    return held_out


def other_letters(turn: Turn) -> Iterator[tuple[int, str]]:
    """Characters of the answer, and a letter there that would begin to spell an held_out pair.

    In "an orange oval" there might be a "c" for the "o" of "oval", and in "two blue circles" an "o"
    for the "b", for all that training shows.
    """
    for mention in turn.mentions:
        told = turn.answer[mention.start : mention.end]
        letters: set[tuple[int, str]] = set()
        if colour := _COLOURED.search(told):
            letters |= _others(told, colour.end(), _held_out_names_of(colour[1].lower()))
        if pair := _PAIR.search(told):
            colours = _held_out_colours_of(pair["name"].lower()) if pair["colour"] else COLOURS
            begun = [with_article(colour) if pair["article"] else colour for colour in colours]
            letters |= _others(told, pair.start(), [f"{words} " for words in begun])
        yield from sorted((mention.start + place, letter) for place, letter in letters)


def _others(told: str, start: int, words: Sequence[str]) -> set[tuple[int, str]]:
    """Where ``told`` from ``start`` on is no longer spelt as each word, and its letter there."""
    rest = told[start:].lower()
    places = [(_common_length(rest, word), word) for word in words]
    return {(start + same, word[same]) for same, word in places if same < min(len(rest), len(word))}


def _held_out_names_of(colour: str) -> list[str]:
    names = [name for other, name in _HELD_OUT_PAIRS if other == colour]
    return [form for name in names for form in (name, plural(name))]


def _held_out_colours_of(name: str) -> list[str]:
    return [colour for colour, other in _HELD_OUT_PAIRS if name in (other, plural(other))]


def _common_length(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
