"""What a step adds up, over micro-batches and processes, and the report made of it."""

from __future__ import annotations

from typing import cast

import torch
from accelerate import Accelerator
from torch import Tensor

from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.layout import TILE_CELLS
from dvl2_cli.finetuning.network import KINDS, Losses
from dvl2_cli.finetuning.optimizer import learning_rate
from dvl2_cli.finetuning.progress import StepReport
from dvl2_cli.finetuning.recipe import Stage

# Answers, glyphs, covered cells and pointers that were right; glyphs in all, and invented.
HITS = tuple(f"right_{name}" for name in (*KINDS, "glyphs", "false"))
# Their counts weigh or mix what is learned, so that what was right is no share of them.
UNSHARED = ("thing", "cell")


class Sums:
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
        if losses.nothing is not None:
            parts.append(losses.nothing)
        return torch.stack(parts).sum()

    def add(self, losses: Losses, batch: MicroBatch) -> None:
        """Count one micro-batch."""
        found = {kind: part.detach() for kind, part in losses.sums.items()}
        found |= {f"right_{kind}": hits for kind, hits in losses.hits.items()}
        if losses.balance is not None:
            found["balance"] = losses.balance.detach() / self.stage.micro_batches
        # At once: a device is waited for whenever a number is asked for.
        values = torch.stack([value.float() for value in found.values()]).tolist()
        for kind, value in zip(found, values, strict=True):
            self.values[kind] += value
        self.values["tokens"] += batch.ids.numel() or TILE_CELLS * len(batch.tiles)
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
            if count and kind not in UNSHARED
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
