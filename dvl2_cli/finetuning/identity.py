"""What must stay the same when a run goes on: the model, the adapter, the data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dvl2_cli.errors import ModelError, UsageError
from dvl2_cli.files import atomic_write
from dvl2_cli.finetuning.conversations import CheckedData
from dvl2_cli.finetuning.recipe import Recipe, Stage

FILE = "run.json"


def identity_of(recipe: Recipe, data: list[CheckedData]) -> dict[str, Any]:
    """The identity of a run on ``data``; the order of its rows hangs on the seed and bounds."""
    return {
        "base": recipe.base,
        "lora": asdict(recipe.lora) if recipe.lora else None,
        "data": sorted({item.digest for item in data}),
        "order": [_order(recipe, stage) for stage in recipe.stages if stage.data],
    }


def _order(recipe: Recipe, stage: Stage) -> list[Any]:
    return [
        recipe.seed, stage.name, stage.packing, stage.tokens, stage.tiles, stage.micro_batches
    ]  # fmt: skip


def check_identity(out: Path, identity: dict[str, Any], *, write: bool) -> None:
    """Compare with what the run in ``out`` began with; a new run's is kept if ``write``.

    Raises:
        UsageError: naming what has changed.
        ModelError: the file is damaged.
        OutputError: it cannot be written.
    """
    path = out / FILE
    if not path.is_file():
        if write:
            with atomic_write(path) as stream:
                stream.write(json.dumps(identity, indent=1) + "\n")
        return
    kept = read_identity(out)
    names = {
        "base": "another model",
        "lora": "other LoRA settings",
        "data": "other data",
        "order": "another seed, or micro-batches of another size",
    }
    for key, what in names.items():
        if kept.get(key) != identity[key]:
            raise UsageError(
                f"the run in {out} began with {what}",
                "Go on with what it began with, or give another -o folder.",
            )


def read_identity(out: Path) -> dict[str, Any]:
    """The identity that the run in ``out`` began with.

    Raises:
        ModelError: there is none, or the file is damaged.
    """
    try:
        kept = json.loads((out / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{out} holds no run of dvl2 train: {error}") from error
    if not isinstance(kept, dict):
        raise ModelError(f"{out / FILE} is damaged: it holds no table")
    return kept
