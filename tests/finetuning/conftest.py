"""Two small pictures with questions, and a tiny checkpoint to train on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from dvl2_cli.finetuning.finetune import FineTuning, fine_tuning_recipe
from dvl2_cli.finetuning.recipe import Recipe
from dvl2_cli.finetuning.run import RunOptions
from tests.golden_data import ROOT

TINY = ROOT / "checkpoints" / "mla"
# One precision for the whole process: accelerate keeps the first that it is given.
QUICK = {"workers": 0, "dtype": "fp32", "quiet": True}

BOX = (20, 20, 70, 60)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two rows: one answer of words, one box in pixels."""
    for name in ("red", "blue"):
        picture = Image.new("RGB", (100, 80), "white")
        ImageDraw.Draw(picture).rectangle(BOX, fill=name)
        picture.save(tmp_path / f"{name}.png")
    rows = [
        {
            "images": ["red.png"],
            "messages": [
                {"role": "user", "content": "<image>\nWhat is it?"},
                {"role": "assistant", "content": "a red box"},
            ],
        },
        {
            "images": ["blue.png"],
            "messages": [
                {"role": "user", "content": "<image>\nWhere is it?"},
                {"role": "assistant", "objects": [{"label": "a box", "box": list(BOX)}]},
            ],
        },
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def recipe_for(data: Path, **said: object) -> Recipe:
    """A short run on ``data``."""
    said = {"model": str(TINY), "steps": 3, "micro_batches": 1, **said}
    return fine_tuning_recipe(data, FineTuning(**said))  # type: ignore[arg-type]


def options(out: Path) -> RunOptions:
    return RunOptions(out, **QUICK)  # type: ignore[arg-type]
