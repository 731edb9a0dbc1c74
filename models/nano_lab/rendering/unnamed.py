"""Colours without a name: they lie between two of those that objects are said to have.

Some looks are held out, so in training a colour tells what a thing is not. Near every named
colour, on both sides of it, all things are drawn, and nothing is said of their colour.
"""

from __future__ import annotations

import colorsys
import itertools
import math
import random

from nano_lab.rendering.canvas import Colour
from nano_lab.rendering.catalogue import COLOURS, TINTS

# Hues (0..1) are this far from a named one, or in the middle third where two are closer.
_APART = 0.03
# Steps of 255 from every named colour: further than shapes of a named colour vary.
_DISTANCE = 28
_HUES = sorted(hue for hue, _ in TINTS.values())
_GAPS = list(itertools.pairwise([*_HUES, _HUES[0] + 1]))


def unnamed_colour(rng: random.Random) -> Colour:
    """A clear colour: every gap between two named hues is as likely as another."""
    while True:
        low, high = rng.choice(_GAPS)
        edge = min(_APART, (high - low) / 3)
        hue = rng.uniform(low + edge, high - edge) % 1
        red, green, blue = (
            round(255 * part)
            for part in colorsys.hsv_to_rgb(hue, rng.uniform(0.55, 0.95), rng.uniform(0.5, 1))
        )
        colour = (red, green, blue)
        if all(math.dist(colour, named) >= _DISTANCE for named in COLOURS.values()):
            return colour
