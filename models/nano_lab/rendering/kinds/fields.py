"""Fields: documents that are asked for everything they name, and not transcribed."""

from __future__ import annotations

import random
from dataclasses import replace

from nano_lab.rendering.draft import Draft
from nano_lab.rendering.kinds import form, invoice, receipt
from nano_lab.rendering.sample import Split

_DRAWN = (invoice.draw,) * 4 + (receipt.draw, form.draw)


def draw(rng: random.Random, split: Split) -> Draft:
    """An invoice, sometimes a receipt or a form; beside a transcript answers would weigh little."""
    draft = rng.choice(_DRAWN)(rng, split, most=None)
    return replace(draft, turns=tuple(turn for turn in draft.turns if turn.task == "field"))
