"""Pictures that are asked about in people's own words."""

from __future__ import annotations

import random
from dataclasses import replace

from nano_lab.questions.asking import reworded
from nano_lab.rendering.canvas import Canvas
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.kinds import chart, fields, lines, scene, sign, table, words
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.scene_turns import SceneTurns

_PAGES = (
    *(fields.draw,) * 4,
    table.draw,
    chart.draw,
    sign.draw,
    lines.draw,
    words.draw,
    words.draw,
)
# Programs ask for these in the model's own words.
_FIXED = frozenset({"table", "markdown", "chart-to-table"})
_MAX_TURNS, _REFUSALS = 14, 2


def draw_scene(rng: random.Random, split: Split) -> Draft:
    """A scene with one to eight objects."""
    return scene.asked_about(scene.random_objects(rng, split), _scene_turns, rng, split)


def draw_page(rng: random.Random, split: Split) -> Draft:
    """A document, a chart, a sign or a few words."""
    draft = rng.choice(_PAGES)(rng, split)
    kept = [turn for turn in draft.turns if turn.task not in _FIXED]
    turns = rng.sample(kept, min(len(kept), _MAX_TURNS))
    return replace(draft, turns=reworded(turns, rng, _REFUSALS))


def _scene_turns(
    canvas: Canvas, background: str, rng: random.Random, split: Split
) -> tuple[Turn, ...]:
    ask = SceneTurns(canvas, background, rng, split)
    counts, whats = ask.counts(), ask.whats()
    asked = [
        ask.caption(), rng.choice((ask.caption_short, ask.caption))(), ask.colour(), ask.colour(),
        ask.where(), ask.where(), ask.exists(), ask.exists(), ask.exists(),
        rng.choice((ask.locate_name, ask.locate_colour, ask.locate_nothing))(),
        *rng.sample(counts, min(3, len(counts))), *rng.sample(whats, min(3, len(whats))),
    ]  # fmt: skip
    turns = rng.sample([turn for turn in asked if turn], min(_MAX_TURNS, sum(map(bool, asked))))
    return reworded(turns, rng, _REFUSALS)
