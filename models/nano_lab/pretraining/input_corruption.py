"""Colours that the decoder is shown wrong in what it has told of a scene so far.

After "a blue" it would guess what is often blue, and never what is never blue in training. With
the colour before it a wrong one (compare word dropout, Bowman et al. 2016), the name that follows
can only be read from the picture.
"""

from __future__ import annotations

import random
import re
import string

from nano_lab.rendering.catalogue import COLOURS
from nano_lab.rendering.sample import Turn

_COLOUR = re.compile(rf"\b(?:{'|'.join(COLOURS)})\b", re.IGNORECASE)
# An article, a number or a size may stand before the colour.
_REACH = 20


def corrupt_colours(turn: Turn, share: float, rng: random.Random) -> str:
    """The answer with that share of the colours before names replaced, each by one of as many
    letters or by any letters; answers without mentions are left alone.
    """
    told = {mention.start + inside for mention in turn.mentions for inside in range(_REACH)}

    def other(match: re.Match[str]) -> str:
        if match.start() not in told or rng.random() >= share:
            return match.group()
        return _as_long(match.group(), rng)

    return _COLOUR.sub(other, turn.answer)


def _as_long(colour: str, rng: random.Random) -> str:
    fitting = [name for name in COLOURS if len(name) == len(colour) and name != colour.lower()]
    if fitting and rng.random() < 0.7:
        return rng.choice(fitting)
    return "".join(rng.choices(string.ascii_lowercase, k=len(colour)))
