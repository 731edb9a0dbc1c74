"""The loop of pretraining: Muon, and stages that end in the mean of two sets of weights."""

from __future__ import annotations

import shutil

import torch

from dvl2_cli.finetuning.loop import Trainer
from dvl2_cli.finetuning.recipe import Stage
from nano_lab.pretraining.muon import build_optimizers
from nano_lab.pretraining.recipe import pretraining_stage
from nano_lab.pretraining.weight_averaging import (
    average_with,
    began_folder,
    check_kept,
    keep_weights,
)


class PretrainingTrainer(Trainer):
    """Fine-tuning's loop with pretraining's optimisers and weight averaging."""

    def build_optimizers(self, stage: Stage) -> list[torch.optim.Optimizer]:
        """AdamW, or Muon with it."""
        return build_optimizers(self.network, pretraining_stage(stage))

    def stage_begins(self, number: int, start: int, network: torch.nn.Module) -> None:
        """Keep the weights that the stage begins with, where they are to be averaged with."""
        if not self._share(number):
            return
        began = began_folder(self.setting.out, number)
        if start == 0:
            keep_weights(began, network, main=self.main)
        self.accelerator.wait_for_everyone()
        check_kept(began, self.recipe.stages[number].name)

    def last_step_done(self, number: int, network: torch.nn.Module) -> None:
        """Average the weights."""
        if share := self._share(number):
            average_with(began_folder(self.setting.out, number), network, share)

    def stage_saved(self, number: int) -> None:
        """Drop the weights that were kept."""
        if self._share(number) and self.main:
            shutil.rmtree(began_folder(self.setting.out, number), ignore_errors=True)

    def _share(self, number: int) -> float:
        return pretraining_stage(self.recipe.stages[number]).weight_average
