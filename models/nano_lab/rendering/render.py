"""The one way to get a sample: by kind, seed and split."""

from __future__ import annotations

import random
from collections.abc import Callable

from dvl2_cli.errors import UsageError
from nano_lab.rendering import wear
from nano_lab.rendering.draft import Draft
from nano_lab.rendering.kinds import (
    asked,
    banners,
    chart,
    chat,
    clean,
    code,
    crowd,
    example,
    fields,
    form,
    invoice,
    letter,
    lines,
    page,
    palette,
    primer,
    receipt,
    scene,
    sign,
    table,
    tally,
    tile,
    words,
)
from nano_lab.rendering.sample import Sample, Split


def _no_picture(rng: random.Random, split: Split) -> Draft:
    return Draft(None, chat.turns(rng, split), (255, 255, 255))


# In the order of the curriculum.
KINDS: dict[str, Callable[[random.Random, Split], Draft]] = {
    "primer": primer.draw,
    "words": words.draw,
    "lines": lines.draw,
    "tile": tile.draw,
    "clean-tile": clean.draw_tile,
    "page": page.draw,
    "clean-page": clean.draw_page,
    "clean-sheet": clean.draw_sheet,
    "clean-band": clean.draw_band,
    "crowd": crowd.draw,
    "scene": scene.draw,
    "palette": palette.draw,
    "names": palette.draw_names,
    "tally": tally.draw,
    "count": tally.draw_count,
    "banners": banners.draw,
    "invoice": invoice.draw,
    "receipt": receipt.draw,
    "letter": letter.draw,
    "form": form.draw,
    "fields": fields.draw,
    "table": table.draw,
    "chart": chart.draw,
    "sign": sign.draw,
    "code": code.draw,
    "asked-scene": asked.draw_scene,
    "asked-page": asked.draw_page,
    "example": example.draw,
    "chat": _no_picture,
}


def render(kind: str, seed: int, split: Split) -> Sample:
    """Draw the sample of ``kind`` and ``seed``; other seeds and splits give other pictures.

    Raises:
        UsageError: there is no such kind.
        InputError: no font of the split is installed.
    """
    if kind not in KINDS:
        raise UsageError(f"There is no kind {kind!r}.", hint=f"Kinds: {', '.join(KINDS)}")
    rng = random.Random(f"{split}/{kind}/{seed}")  # noqa: S311 - pictures, not secrets
    draft = KINDS[kind](rng, split)
    turns = list(draft.turns)
    if split == "train":
        # Any question may come first, as in use.
        rng.shuffle(turns)
    canvas = draft.canvas
    if canvas is None:
        return Sample(kind, None, tuple(turns), (), (), seed, split)
    wear.apply(canvas, draft.wear, draft.paper, rng)
    return Sample(
        kind,
        canvas.image,
        tuple(turns),
        tuple(canvas.glyphs),
        tuple(canvas.objects),
        seed,
        split,
        draft.example,
    )
