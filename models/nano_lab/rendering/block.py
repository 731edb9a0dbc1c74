"""Setting running text into a rectangle."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from nano_lab.rendering.canvas import Canvas, Colour
from nano_lab.rendering.face import Face

Align = Literal["left", "right", "centre", "justify"]


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the canvas in whole pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left


def break_lines(tokens: list[str], face: Face, width: int) -> list[list[str]]:
    """Greedy line breaking; a token wider than the line is cut to what fits."""
    space = face.width(" ")
    lines: list[list[str]] = []
    line: list[str] = []
    used = 0.0
    for raw in tokens:
        token = _fitting(face.printable(raw), face, width)
        if not token:
            continue
        advance = face.width(token)
        if line and used + space + advance > width:
            lines.append(line)
            line, used = [], 0.0
        used += advance + (space if line else 0)
        line.append(token)
    if line:
        lines.append(line)
    return lines


def _fitting(token: str, face: Face, width: int) -> str:
    while token and face.width(token) > width:
        token = token[:-1]
    return token


def set_text(
    canvas: Canvas,
    area: Area,
    tokens: list[str],
    face: Face,
    fill: Colour,
    rng: random.Random,
    *,
    align: Align = "left",
    leading: float = 1.2,
) -> int:
    """Fill ``area`` from its top with as many lines as fit; return the y below the last."""
    pitch = max(round(face.size * leading), face.size)
    baseline = area.top + face.ascent
    for words in break_lines(tokens, face, area.width):
        if baseline + face.descent > area.bottom:
            break
        text = " ".join(words)
        slack = area.width - face.width(text)
        if align == "justify" and len(words) > 1 and slack < area.width * 0.25:
            _justified(canvas, area.left, baseline, words, slack, face, fill)
        else:
            shift = {"left": 0.0, "right": slack, "centre": slack / 2, "justify": 0.0}[align]
            canvas.write(area.left + int(shift), baseline, text, face, fill)
        baseline += pitch
    return baseline - face.ascent


def _justified(
    canvas: Canvas,
    left: int,
    baseline: int,
    words: list[str],
    slack: float,
    face: Face,
    fill: Colour,
) -> None:
    gap = face.width(" ") + slack / (len(words) - 1)
    x = float(left)
    for index, text in enumerate(words):
        canvas.write(int(x), baseline, text, face, fill, joined=index > 0)
        x += face.width(text) + gap
