"""Answers that are measured and never trained on: the sign of what a run really learns."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from deepseek_vl_v2 import DeepseekVLV2Processor
from dvl2_cli.finetuning.conversations import CheckedData, ConversationBatches
from dvl2_cli.finetuning.network import Losses
from dvl2_cli.finetuning.recipe import Stage


class HeldOut:
    """Conversations whose right answers the model is given token by token."""

    def __init__(self, data: CheckedData, processor: DeepseekVLV2Processor) -> None:
        self.data, self.processor = data, processor

    def measure(
        self, network: nn.Module, stage: Stage, accelerator: Accelerator
    ) -> dict[str, float]:
        """Mean cross-entropy of the answers' tokens, and the share that the model guesses.

        Every process calls this, and takes its part of the micro-batches.
        """
        stage = replace(stage, name="held out", balance_loss=0.0)
        batches = ConversationBatches(self.data, stage, 0, self.processor)
        count = len(batches.plan.epoch(0))
        sums = torch.zeros(3, dtype=torch.float64)
        network.train(False)
        with torch.no_grad(), accelerator.autocast():
            for start in range(0, count, accelerator.num_processes):
                number = start + accelerator.process_index
                # A process without one left goes along, as sharded weights need all of them.
                batch = batches[min(number, count - 1)].to(accelerator.device)
                losses: Losses = network(batch, stage)
                if number < count:
                    loss, right = losses.sums["language"], losses.right["language"][0]
                    sums += torch.tensor([float(loss), float(right), batch.answer_tokens])
        network.train()
        whole = cast(Tensor, accelerator.reduce(sums.float().to(accelerator.device)))
        loss_sum, hits, tokens = whole.tolist()
        return {"loss": loss_sum / tokens, "right": hits / tokens}
