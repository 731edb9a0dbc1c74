"""Fonts at a size, with cached metrics so that a line's glyph boxes cost a few lookups."""

from __future__ import annotations

import functools
import random
from pathlib import Path

from PIL import ImageFont

from nano_lab.rendering.fonts import Genre, installed_cuts
from nano_lab.rendering.sample import Box, Split

PLAIN_GENRES: tuple[Genre, ...] = ("sans", "serif", "mono")
ALL_GENRES: tuple[Genre, ...] = (*PLAIN_GENRES, "display")
_NOT_A_CHARACTER = "\uffff"


class Face:
    """A font file at ``size`` pixels per em, in basic layout (no ligatures)."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self.font = ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
        self.ascent, self.descent = self.font.getmetrics()
        self._steps: dict[str, float] = {}
        self._ink: dict[str, Box] = {}
        self._known: dict[str, bool] = {}
        length = self.font.getlength
        # Most OpenType cuts kern through tables that basic layout does not read.
        self._kerns = any(
            length(a + b) != length(a) + length(b) for a, b in ("AV", "To", "Te", "r.", "y,", "LT")
        )

    def offsets(self, text: str) -> list[float]:
        """The pen's x before every character of ``text`` and after the last, in pixels."""
        pen, offsets, steps = 0.0, [0.0], self._steps
        pairs = zip(text, text[1:] + "\0", strict=True) if self._kerns else ((c, "") for c in text)
        for char, following in pairs:
            pair = char if following == "\0" else char + following
            step = steps.get(pair)
            if step is None:
                step = steps[pair] = self._step(pair)
            pen += step
            offsets.append(pen)
        return offsets

    def _step(self, pair: str) -> float:
        if len(pair) == 1:
            return self.font.getlength(pair)
        # Kerning included: basic layout adds up pair by pair.
        return self.font.getlength(pair) - self.font.getlength(pair[1])

    def width(self, text: str) -> float:
        """The advance of ``text`` in pixels."""
        return self.offsets(text)[-1]

    def ink(self, char: str) -> Box:
        """The ink of ``char`` relative to the pen on the baseline, in pixels."""
        box = self._ink.get(char)
        if box is None:
            box = self._ink[char] = self._measure(char)
        return box

    def _measure(self, char: str) -> Box:
        if char == " ":
            height = -self.font.getbbox("x", anchor="ls")[1]
            return (0.0, -height, self.font.getlength(" "), 0.0)
        # Not getbbox: that is at least as wide as the advance.
        mask, (left, top) = self.font.getmask2(char, mode="L", anchor="ls")
        box = mask.getbbox()
        if box is None:
            return (0.0, -1.0, self.font.getlength(char), 0.0)
        return (left + box[0], top + box[1], left + box[2], top + box[3])

    def has(self, char: str) -> bool:
        """Whether the font draws ``char`` rather than its "missing" box."""
        if char.isascii():
            return True
        known = self._known.get(char)
        if known is None:
            missing = bytes(self.font.getmask(_NOT_A_CHARACTER))
            known = self._known[char] = bytes(self.font.getmask(char)) != missing
        return known

    def printable(self, text: str) -> str:
        """``text`` without the characters that the font lacks."""
        return text if text.isascii() else "".join(char for char in text if self.has(char))


@functools.lru_cache(maxsize=2000)
def face(path: Path, size: int) -> Face:
    """The shared Face of a file and size."""
    return Face(path, size)


def random_cut(rng: random.Random, split: Split, genres: tuple[Genre, ...] = ALL_GENRES) -> Path:
    """A font file of the split: every family as likely as another, upright cuts more so."""
    cuts = rng.choice(installed_cuts(split, genres))
    if len(cuts) == 1 or rng.random() < 0.6:
        return cuts[0]
    return rng.choice(cuts[1:])


def random_face(
    rng: random.Random, split: Split, low: int, high: int, genres: tuple[Genre, ...] = ALL_GENRES
) -> Face:
    """A face of ``low`` to ``high`` pixels, small sizes more often."""
    size = round(low * (high / low) ** rng.random())
    return face(random_cut(rng, split, genres), size)
