"""The training loop: stages of steps, each step the sum over all processes' micro-batches.

Every micro-batch has a number, and process r of w takes numbers r, r + w, ... of a step. The
loss of a step is divided by the labels of the whole step, so one process or several, or a
run that was killed and resumed, make the same steps up to rounding.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dvl2_cli.training.batch import MicroBatch
from dvl2_cli.training.network import KINDS, Losses, TrainingNetwork, label_counts
from dvl2_cli.training.optimizer import build_optimizers, freeze, learning_rate
from dvl2_cli.training.progress import Progress, RunLog, StepReport, report_record
from dvl2_cli.training.recipe import Recipe, Stage
from dvl2_cli.training.state import Place, load_moments, save_state, states

# Answers, glyphs, covered cells and pointers that were right; glyphs in all, and invented.
HITS = tuple(f"right_{name}" for name in (*KINDS, "glyphs", "false"))
TILE_TOKENS = 196

Batches = Callable[[Stage], Dataset[MicroBatch]]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is given besides its recipe: where, with what data, and how to show it."""

    out: Path
    batches: Batches
    workers: int
    progress: Progress
    on_checkpoint: Callable[[TrainingNetwork, Place], None] = lambda network, place: None
    on_stage_end: Callable[[TrainingNetwork, Place], None] = lambda network, place: None


class Trainer:
    """Runs the stages of ``recipe`` that ``place`` has not done yet."""

    def __init__(
        self, recipe: Recipe, network: TrainingNetwork, accelerator: Accelerator, setting: Setting
    ) -> None:
        self.recipe, self.network, self.accelerator = recipe, network, accelerator
        self.setting = setting
        self.main = accelerator.is_main_process
        self.seconds = 0.0

    def run(self, place: Place) -> Place:
        """Train to the end of the recipe, from ``place``."""
        log = RunLog(self.setting.out, place.total) if self.main else None
        self.seconds = place.seconds
        for number in range(place.stage, len(self.recipe.stages)):
            start = place.step if number == place.stage else 0
            place = self._stage(number, start, place.total, log)
            self.setting.on_stage_end(self.network, place)
        self.setting.progress.close()
        return place

    def _stage(self, number: int, start: int, total: int, log: RunLog | None) -> Place:
        stage = self.recipe.stages[number]
        freeze(self.network.model, stage)
        wrapped, *optimizers = self.accelerator.prepare(
            self.network, *build_optimizers(self.network, stage)
        )
        bare = [optimizer.optimizer for optimizer in optimizers]
        saved = states(self.setting.out)
        if start and saved:
            load_moments(saved[-1], wrapped, bare)
        wrapped.train()
        feed = self._feed(stage, start)
        place = Place(self.recipe.name, number, start, total, self.seconds)
        for step in range(start, stage.steps):
            begun = time.monotonic()
            sums = self._step(wrapped, optimizers, stage, step, feed)
            sums.seconds = time.monotonic() - begun
            self.seconds += sums.seconds
            total += 1
            place = Place(self.recipe.name, number, step + 1, total, self.seconds)
            if log is not None:
                shown = sums.report()
                log.write(total, "step", report_record(shown))
                self.setting.progress.show(shown)
            if total % self.recipe.checkpoint_every == 0 or step + 1 == stage.steps:
                save_state(self.setting.out, wrapped, bare, place, main=self.main)
                self.setting.on_checkpoint(self.network, place)
        self.accelerator.free_memory()
        return place

    def _feed(self, stage: Stage, start: int) -> Iterator[MicroBatch]:
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        data = self.setting.batches(stage)
        first = start * stage.micro_batches
        numbers = range(first + rank, stage.steps * stage.micro_batches, world)
        workers = self.setting.workers
        loader = DataLoader(
            data,
            batch_size=None,
            sampler=cast("torch.utils.data.Sampler[int]", numbers),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            persistent_workers=False,
        )
        return iter(loader)

    def _step(
        self,
        network: torch.nn.Module,
        optimizers: list[torch.optim.Optimizer],
        stage: Stage,
        step: int,
        feed: Iterator[MicroBatch],
    ) -> _Sums:
        """Forward, backward and update; returns what it counted."""
        world = self.accelerator.num_processes
        device = self.accelerator.device
        mine = [next(feed).to(device) for _ in range(stage.micro_batches // world)]
        counts = torch.tensor([label_counts(batch, stage) for batch in mine]).sum(0)
        whole = cast(Tensor, self.accelerator.reduce(counts.to(device))).tolist()
        sums = _Sums(stage, step, dict(zip(KINDS, whole, strict=True)))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = sums.rate
        for index, batch in enumerate(mine):
            last = index == len(mine) - 1
            quiet = contextlib.nullcontext() if last else self.accelerator.no_sync(network)
            with quiet, self.accelerator.autocast():
                losses: Losses = network(batch, stage)
                # DDP takes the mean over processes; the sums are already over the step.
                self.accelerator.backward(sums.scaled(losses) * world)
            sums.add(losses, batch)
        sums.gradient = float(
            self.accelerator.clip_grad_norm_(network.parameters(), self.recipe.clip)
        )
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._balance(sums, stage)
        sums.gather(self.accelerator)
        return sums

    def _balance(self, sums: _Sums, stage: Stage) -> None:
        """Read the routers' loads, move correction biases, and start counting anew."""
        for router in self.network.model.language.model.routers():
            load = cast(Tensor, self.accelerator.reduce(router.expert_load.clone()))
            router.expert_load.copy_(load)
            if load.sum() > 0:
                sums.expert_load.append((load / load.sum()).tolist())
            router.update_bias(stage.bias_rate)


class _Sums:
    """What a step adds up, first of one process, then of all."""

    def __init__(self, stage: Stage, step: int, whole: dict[str, float]) -> None:
        self.stage, self.step = stage, step
        self.rate = learning_rate(stage, step)
        self.whole = {kind: count for kind, count in whole.items() if count}
        self.weights = {kind: float(getattr(stage, f"{kind}_loss")) for kind in KINDS}
        self.seconds = self.gradient = 0.0
        self.expert_load: list[list[float]] = []
        self.values = dict.fromkeys((*KINDS, *HITS, "balance", "tokens", "tiles"), 0.0)

    def scaled(self, losses: Losses) -> Tensor:
        """This micro-batch's part of the step's loss."""
        parts = [
            self.weights[kind] * part / self.whole[kind]
            for kind, part in losses.sums.items()
            if kind in self.whole
        ]
        if losses.balance is not None:
            parts.append(self.stage.balance_loss * losses.balance / self.stage.micro_batches)
        return torch.stack(parts).sum()

    def add(self, losses: Losses, batch: MicroBatch) -> None:
        """Count one micro-batch."""
        for kind, part in losses.sums.items():
            self.values[kind] += float(part.detach())
        for kind, hits in losses.hits.items():
            self.values[f"right_{kind}"] += hits
        if losses.balance is not None:
            self.values["balance"] += float(losses.balance.detach()) / self.stage.micro_batches
        self.values["tokens"] += batch.ids.numel() or TILE_TOKENS * len(batch.tiles)
        self.values["tiles"] += len(batch.tiles)

    def gather(self, accelerator: Accelerator) -> None:
        """Sum over processes."""
        values = torch.tensor(list(self.values.values()), device=accelerator.device)
        whole = cast(Tensor, accelerator.reduce(values)).tolist()
        self.values = dict(zip(self.values, whole, strict=True))

    def report(self) -> StepReport:
        """The report of the step."""
        values, counts = self.values, {**self.whole}
        means = {kind: values[kind] / count for kind, count in counts.items()}
        glyphs = values["right_glyphs"]
        if "dense" in counts:
            counts["dense"] = glyphs
        right = {
            kind: values[f"right_{kind}"] / count
            for kind, count in counts.items()
            if count and kind != "thing"
        }
        if glyphs:
            right["false"] = values["right_false"] / glyphs
        loss = sum(self.weights[kind] * mean for kind, mean in means.items())
        return StepReport(
            stage=self.stage.name,
            step=self.step + 1,
            steps=self.stage.steps,
            loss=loss + self.stage.balance_loss * values["balance"],
            rate=self.rate,
            tokens=int(values["tokens"]),
            tiles=int(values["tiles"]),
            seconds=self.seconds,
            losses=means,
            right=right,
            balance=values["balance"] or None,
            gradient=self.gradient,
            expert_load=self.expert_load,
        )
