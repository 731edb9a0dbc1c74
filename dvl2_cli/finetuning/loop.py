"""The training loop: stages of steps, each step the sum over all processes' micro-batches.

Every micro-batch has a number, and process r of w takes numbers r, r + w, ... of a step. The
loss of a step is divided by the labels of the whole step, so one process or several, or a
run that was killed and resumed, make the same steps up to rounding.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dvl2_cli.errors import Dvl2Error
from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.held_out import HeldOut
from dvl2_cli.finetuning.network import Losses, TrainingNetwork
from dvl2_cli.finetuning.optimizer import adamw, freeze, trained_parameters
from dvl2_cli.finetuning.progress import RunLog, TrainingProgress, report_record
from dvl2_cli.finetuning.recipe import Recipe, Stage
from dvl2_cli.finetuning.sharding import update_bias
from dvl2_cli.finetuning.state import TrainingPosition, load_moments, save_state, states
from dvl2_cli.finetuning.sums import Sums

Batches = Callable[[Stage], Dataset[MicroBatch]]


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run is given besides its recipe: where, with what data, and how to show it."""

    out: Path
    batches: Batches
    workers: int
    progress: TrainingProgress
    held_out: HeldOut | None = None
    on_checkpoint: Callable[[TrainingNetwork, TrainingPosition], None] = lambda network, place: None
    on_stage_end: Callable[[TrainingNetwork, TrainingPosition], None] = lambda network, place: None


class Trainer:
    """Runs the stages of ``recipe`` that ``place`` has not done yet.

    A subclass may take other optimisers, and act when a stage begins and ends.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: TrainingNetwork,
        accelerator: Accelerator,
        setting: RunContext,
    ) -> None:
        self.recipe, self.network, self.accelerator = recipe, network, accelerator
        self.setting = setting
        self.main = accelerator.is_main_process
        self.seconds = 0.0

    def run(self, place: TrainingPosition) -> TrainingPosition:
        """Train to the end of the recipe, from ``place``."""
        log = RunLog(self.setting.out, place.total) if self.main else None
        self.seconds = place.seconds
        try:
            for number in range(place.stage, len(self.recipe.stages)):
                start = place.step if number == place.stage else 0
                place = self._stage(number, start, place.total, log)
                self.setting.on_stage_end(self.network, place)
        finally:
            self.setting.progress.close()
            if log is not None:
                log.close()
        return place

    def build_optimizers(self, stage: Stage) -> list[torch.optim.Optimizer]:
        """The optimisers of a stage, for what it trains."""
        return [adamw(trained_parameters(self.network), stage)]

    def stage_begins(self, number: int, start: int, network: torch.nn.Module) -> None:
        """A hook before step ``start`` of stage ``number``; every process calls it."""

    def last_step_done(self, number: int, network: torch.nn.Module) -> None:
        """A hook after the last step of stage ``number``, before its state is saved."""

    def stage_saved(self, number: int) -> None:
        """A hook after the last state of stage ``number`` is saved."""

    def _stage(self, number: int, start: int, total: int, log: RunLog | None) -> TrainingPosition:
        stage = self.recipe.stages[number]
        freeze(self.network.model, stage)
        with warnings.catch_warnings():
            # torch has a new name for broadcast_buffers, which accelerate does not pass on.
            warnings.filterwarnings("ignore", ".*broadcast_buffers", FutureWarning)
            wrapped, *optimizers = self.accelerator.prepare(
                self.network, *self.build_optimizers(stage)
            )
        bare = [optimizer.optimizer for optimizer in optimizers]
        saved = states(self.setting.out)
        if start and saved:
            load_moments(saved[-1], wrapped, bare)
        wrapped.train()
        self.stage_begins(number, start, wrapped)
        feed = self._feed(stage, start)
        place = TrainingPosition(self.recipe.name, number, start, total, self.seconds)
        for step in range(start, stage.steps):
            begun = time.monotonic()
            sums = self._step(wrapped, optimizers, stage, step, feed)
            sums.seconds = time.monotonic() - begun
            self.seconds += sums.seconds
            total += 1
            place = TrainingPosition(self.recipe.name, number, step + 1, total, self.seconds)
            if log is not None:
                shown = sums.report()
                log.write(total, "step", report_record(shown))
                self.setting.progress.show(shown)
            last = step + 1 == stage.steps
            if last:
                self.last_step_done(number, wrapped)
            due = total % self.recipe.checkpoint_every == 0 or last
            if self._to_measure(total, due):
                self._measure(wrapped, stage, total, log)
            if due:
                partial = self.recipe.lora is not None
                save_state(self.setting.out, wrapped, bare, place, main=self.main, partial=partial)
                self.setting.on_checkpoint(self.network, place)
        self.stage_saved(number)
        self.accelerator.free_memory()
        return place

    def _to_measure(self, total: int, due: bool) -> bool:
        every = self.recipe.evaluate_every
        return self.setting.held_out is not None and (total % every == 0 if every else due)

    def _measure(
        self, network: torch.nn.Module, stage: Stage, total: int, log: RunLog | None
    ) -> None:
        assert self.setting.held_out is not None  # noqa: S101
        found = self.setting.held_out.measure(network, stage, self.accelerator)
        if log is not None:
            log.write(total, "held out", {"stage": stage.name, **found})
            self.setting.progress.note(
                f"held out: loss {found['loss']:.3f}, {found['right']:.1%} of tokens right"
            )

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
            pin_memory=self.accelerator.device.type == "cuda",
        )
        try:
            yield from loader
        except Dvl2Error as error:
            # From a worker it comes with the traceback of the worker in its message.
            reason = error.message.strip().splitlines()[-1]
            raise type(error)(reason.removeprefix(f"{_full_name(error)}: ")) from error

    def _step(
        self,
        network: torch.nn.Module,
        optimizers: list[torch.optim.Optimizer],
        stage: Stage,
        step: int,
        feed: Iterator[MicroBatch],
    ) -> Sums:
        """Forward, backward and update; returns what it counted."""
        world = self.accelerator.num_processes
        device = self.accelerator.device
        mine = [next(feed).to(device) for _ in range(stage.micro_batches // world)]
        found = [self.network.label_counts(batch, stage) for batch in mine]
        counts = torch.tensor([[count[kind] for kind in self.network.kinds] for count in found])
        whole = cast(Tensor, self.accelerator.reduce(counts.sum(0).to(device))).tolist()
        sums = Sums(self.network, stage, step, dict(zip(self.network.kinds, whole, strict=True)))
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
        if world == 1:
            # As several processes have it: weights that no batch made use of still decay.
            for parameter in network.parameters():
                if parameter.requires_grad and parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
        sums.gradient = float(
            self.accelerator.clip_grad_norm_(network.parameters(), self.recipe.clip)
        )
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._balance(sums, stage)
        sums.gather(self.accelerator)
        return sums

    def _balance(self, sums: Sums, stage: Stage) -> None:
        """Read the routers' loads, move correction biases, and start counting anew."""
        for router in self.network.model.language.model.routers():
            load = cast(Tensor, self.accelerator.reduce(router.expert_load.clone()))
            router.expert_load.copy_(load)
            if load.sum() > 0:
                sums.expert_load.append((load / load.sum()).tolist())
            update_bias(router, stage.bias_rate)


def _full_name(error: Exception) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
