"""What a step adds up, over micro-batches and processes, and the report made of it."""

from __future__ import annotations

from typing import cast

import torch
from accelerate import Accelerator
from torch import Tensor

from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.network import Losses, TrainingNetwork
from dvl2_cli.finetuning.optimizer import learning_rate
from dvl2_cli.finetuning.progress import StepReport
from dvl2_cli.finetuning.recipe import Stage


class Sums:
    """What a step adds up, first of one process, then of all."""

    def __init__(
        self, network: TrainingNetwork, stage: Stage, step: int, whole: dict[str, float]
    ) -> None:
        """``whole``: the label counts of the step, over all processes."""
        self.stage, self.step = stage, step
        self.rate = learning_rate(stage, step)
        self.whole = {kind: count for kind, count in whole.items() if count}
        self.weights = network.loss_weights(stage)
        self.seconds = self.gradient = 0.0
        self.expert_load: list[list[float]] = []
        names = [*network.kinds, *_shares(network), "balance", "tokens", "tiles"]
        self.values = dict.fromkeys(names, 0.0)

    def scaled(self, losses: Losses) -> Tensor:
        """This micro-batch's part of the step's loss."""
        parts = [
            self.weights[kind] * part / self.whole[kind]
            for kind, part in losses.sums.items()
            if kind in self.whole
        ]
        if losses.balance is not None:
            parts.append(self.stage.balance_loss * losses.balance / self.stage.micro_batches)
        if losses.nothing is not None:
            parts.append(losses.nothing)
        return torch.stack(parts).sum()

    def add(self, losses: Losses, batch: MicroBatch) -> None:
        """Count one micro-batch."""
        found = {kind: part.detach() for kind, part in losses.sums.items()}
        for kind, (right, whole) in losses.right.items():
            found |= {f"right {kind}": right, f"of {kind}": whole}
        if losses.balance is not None:
            found["balance"] = losses.balance.detach() / self.stage.micro_batches
        # At once: a device is waited for whenever a number is asked for.
        values = torch.stack([value.float() for value in found.values()]).tolist()
        for kind, value in zip(found, values, strict=True):
            self.values[kind] += value
        self.values["tokens"] += batch.tokens
        self.values["tiles"] += len(batch.tiles)

    def gather(self, accelerator: Accelerator) -> None:
        """Sum over processes."""
        values = torch.tensor(list(self.values.values()), device=accelerator.device)
        whole = cast(Tensor, accelerator.reduce(values)).tolist()
        self.values = dict(zip(self.values, whole, strict=True))

    def report(self) -> StepReport:
        """The report of the step."""
        values = self.values
        means = {kind: values[kind] / count for kind, count in self.whole.items()}
        measured = [name.removeprefix("of ") for name in values if name.startswith("of ")]
        right = {
            kind: values[f"right {kind}"] / values[f"of {kind}"]
            for kind in measured
            if values[f"of {kind}"]
        }
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


def _shares(network: TrainingNetwork) -> list[str]:
    return [f"{part} {kind}" for kind in network.measured for part in ("right", "of")]
