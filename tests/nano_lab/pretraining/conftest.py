"""Fine-tuning's small conversations, as a run of pretraining."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from dvl2_cli.finetuning.recipe import Recipe
from nano_lab.pretraining.recipe import PretrainingStage
from tests.finetuning.conftest import data, recipe_for

__all__ = ["data", "pretraining_recipe"]


def pretraining_recipe(
    rows: Path, more: Mapping[str, object] | None = None, **said: object
) -> Recipe:
    """A short run on ``rows``, whose stages have ``more`` keys."""
    recipe = recipe_for(rows, **said)
    stages = tuple(
        PretrainingStage(**dataclasses.asdict(stage) | dict(more or {})) for stage in recipe.stages
    )
    return dataclasses.replace(recipe, stages=stages)
