"""Where the text of a conversation names an object or a colour.

A question's words and the picture's cells are to be found by each other. So the token that ends
a name is taught the class of the object, by the head that reads it off the cells that show one
(see cells).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nano_lab.pretraining.object_labels import (
    COLOUR_CLASSES,
    NAME_CLASSES,
    colour_class,
    name_class,
)
from nano_lab.rendering.catalogue import plural

NOTHING = -1
_LETTERS = {"Ġ": " "}


def mentions(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """For every token the classes of the name and of the colour that end with it.

    Args:
        tokens: as the vocabulary writes them; nano's are single letters, "Ġ" is a blank.
    """
    text = "".join(_letter(token) for token in tokens)
    found = [(NOTHING, NOTHING)] * len(text)
    for match in _NAME.finditer(text):
        found[match.end() - 1] = (_CLASS_OF[match.group().lower()], NOTHING)
    for match in _COLOUR.finditer(text):
        name = found[match.end() - 1][0]
        found[match.end() - 1] = (name, colour_class(match.group().lower()))
    return found


def _letter(token: str) -> str:
    return _LETTERS.get(token, token if len(token) == 1 else "\n")


def _words(words: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(
        rf"(?<![a-z])(?:{'|'.join(map(re.escape, longest_first))})(?![a-z])", re.IGNORECASE
    )


# "orange" is more often a colour; the background (see object_labels) is in both lists.
_CLASS_OF = {
    form: name_class(name)
    for name in NAME_CLASSES
    if name not in COLOUR_CLASSES
    for form in (name, plural(name))
}
_NAME = _words(list(_CLASS_OF))
_COLOUR = _words([colour for colour in COLOUR_CLASSES if colour])
