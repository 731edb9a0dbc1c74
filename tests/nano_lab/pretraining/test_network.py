"""What a step's loss depends on."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from dvl2_cli.finetuning.optimizer import freeze
from dvl2_cli.finetuning.recipe import Recipe
from dvl2_cli.finetuning.sums import Sums
from nano_lab.pretraining.muon import build_optimizers
from nano_lab.pretraining.network import PretrainingNetwork
from nano_lab.pretraining.recipe import PretrainingStage
from nano_lab.pretraining.rendered_batches import RenderedBatches
from tests.golden_data import ROOT
from tests.nano_lab.rendering.fonts_here import need_all

STAGE = PretrainingStage(
    name="joint", steps=1, learning_rate=1e-3,
    glyph_loss=0.5, object_loss=0.5, guided_attention_loss=0.5, cell_loss=0.3, mix={"chat": 1.0},
)  # fmt: skip


@pytest.mark.parametrize("kind", ["chat", "primer", "scene", "count"])
def test_every_weight_gets_a_gradient_whatever_the_batch_holds(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Processes with batches of different kinds add up their gradients, and wait for each.
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    need_all()
    folder = ROOT / "checkpoints" / "mla"
    model = DeepseekVLV2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    processor = DeepseekVLV2Processor.from_pretrained(folder)
    stage = dataclasses.replace(STAGE, mix={kind: 1.0}, tiles=1)
    network = PretrainingNetwork(model, Recipe("r", str(folder), (stage,)))
    freeze(model, stage)
    network.train()
    batch = RenderedBatches(stage, 1, processor)[0]
    losses = network(batch, stage)
    assert all(torch.isfinite(part) for part in losses.sums.values())
    sums = Sums(network, stage, 0, network.label_counts(batch, stage))
    sums.scaled(losses).backward()
    assert not [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]


def test_where_no_part_is_trained_the_heads_alone_learn() -> None:
    need_all()
    folder = ROOT / "checkpoints" / "mla"
    model = DeepseekVLV2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    stage = dataclasses.replace(STAGE, mix={"scene": 1.0}, tiles=1, train=())
    network = PretrainingNetwork(model, Recipe("r", str(folder), (stage,)))
    freeze(model, stage)
    batch = RenderedBatches(stage, 1, DeepseekVLV2Processor.from_pretrained(folder))[0]
    losses = network.train()(batch, stage)
    sums = Sums(network, stage, 0, network.label_counts(batch, stage))
    sums.scaled(losses).backward()
    learning = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert learning == {"glyph_head", "object_head", "cell_heads", "reading_heads"}
    # None of their matrices is Muon's.
    (optimizer,) = build_optimizers(network, dataclasses.replace(stage, optimizer="muon"))
    optimizer.step()
