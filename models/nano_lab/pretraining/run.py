"""A run of pretraining: fine-tuning's, on rendered pictures, with heads and OOD statistics."""

from __future__ import annotations

from pathlib import Path

from torch.utils.data import Dataset

from dvl2_cli.engine.local.statistics import save_statistics
from dvl2_cli.finetuning.base import Base
from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.network import TrainingNetwork
from dvl2_cli.finetuning.plots import draw
from dvl2_cli.finetuning.recipe import Recipe, Stage
from dvl2_cli.finetuning.run import Run, RunOptions
from dvl2_cli.finetuning.state import states
from dvl2_cli.store.places import nano_folder
from nano_lab.pretraining.fresh_nano import FRESH_NANO, FreshNano
from nano_lab.pretraining.network import PretrainingNetwork
from nano_lab.pretraining.ood_statistics import feature_statistics
from nano_lab.pretraining.recipe import pretraining_stage
from nano_lab.pretraining.rendered_batches import RenderedBatches
from nano_lab.pretraining.trainer import PretrainingTrainer
from nano_lab.pretraining.training_heads import load_heads, save_heads

# The heads of the bundled nano lie here, as only training needs them.
LAB = Path(__file__).parents[1]
TITLES = {
    "language": "answers",
    "glyph": "glyphs",
    "object": "objects",
    "position": "positions",
    "cell": "cells of the decoder",
    "guided_attention": "supervised attention",
    "counting": "counting",
    "false_glyph": "glyphs seen where there are none",
}
ERRORS = ("false_glyph",)


class PretrainingRun(Run):
    """One run of a recipe of nano."""

    network_type = PretrainingNetwork
    trainer_type = PretrainingTrainer

    def open_base(self) -> Base:
        """A checkpoint, or nano before its first step."""
        return FreshNano(self.recipe) if self.recipe.base == FRESH_NANO else super().open_base()

    def batches(self, stage: Stage) -> Dataset[MicroBatch]:
        """Rendered pictures, or the stage's own conversations."""
        if stage.data:
            return super().batches(stage)
        return RenderedBatches(pretraining_stage(stage), self.recipe.seed, self.base.processor)

    def network_made(self, network: TrainingNetwork) -> None:
        """Go on with the heads of the base."""
        folder = self.base.folder
        if folder is not None:
            load_heads(LAB if folder == _bundled() else folder, network)

    def model_written(self, network: TrainingNetwork, stage: Stage) -> None:
        """Write the heads, and the statistics of the pictures that the stage showed."""
        save_heads(self.result, states(self.options.out)[-1])
        mix = pretraining_stage(stage).mix
        if mix and not self.sharded:
            statistics = feature_statistics(
                network.model, self.base.processor, mix, self.recipe.seed
            )
            save_statistics(self.result, statistics)

    def draw(self) -> None:
        """Draw the plots of the run, with the names of its losses."""
        draw_run(self.options.out)


def pretrain(recipe: Recipe, options: RunOptions) -> Path:
    """Train nano by ``recipe``; see ``Run.execute``."""
    return PretrainingRun(recipe, options).execute()


def draw_run(run: Path) -> list[Path]:
    """Draw the plots of a run anew; see ``plots.draw``."""
    return draw(run, TITLES, ERRORS)


def _bundled() -> Path | None:
    folder = nano_folder()
    return None if folder is None else folder.resolve()
