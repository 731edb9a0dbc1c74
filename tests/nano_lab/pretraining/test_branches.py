"""Conversations that share their picture's tokens are what they would be alone."""

from __future__ import annotations

import dataclasses

import torch

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from dvl2_cli.finetuning.recipe import Recipe
from nano_lab.pretraining.encode import PretrainingSample, collate
from nano_lab.pretraining.fresh_nano import fresh_nano
from nano_lab.pretraining.network import PretrainingNetwork
from nano_lab.pretraining.recipe import PretrainingStage
from nano_lab.pretraining.rendered_batches import RenderedBatches
from nano_lab.rendering.render import render
from nano_lab.rendering.sample import Sample
from tests.golden_data import ROOT
from tests.nano_lab.rendering.fonts_here import need_all

FOLDER = ROOT / "checkpoints" / "mla"
STAGE = PretrainingStage(
    name="see", steps=1, learning_rate=1e-3, guided_attention_loss=1.0, tiles=2,
    prefix_branches=1.0, mix={"scene": 1.0},
)  # fmt: skip


def encoded(sample: Sample) -> PretrainingSample:
    processor = DeepseekVLV2Processor.from_pretrained(FOLDER)
    data = RenderedBatches(STAGE, 1, processor)
    return data._with_targets(data._encode(sample, branched=True), sample)


def scene(seed: int = 3) -> Sample:
    need_all()
    sample = render("scene", seed, "train")
    return dataclasses.replace(sample, turns=sample.turns[:4])


def test_tokens_and_positions_are_those_of_conversations_of_their_own() -> None:
    sample = scene()
    both = encoded(sample)
    assert both.positions is not None
    assert both.branches is not None
    for number, turn in enumerate(sample.turns, 1):
        alone = encoded(dataclasses.replace(sample, turns=(turn,)))
        mine = [i for i, branch in enumerate(both.branches) if branch in (0, number)]
        assert [both.ids[i] for i in mine] == alone.ids
        assert [both.labels[i] for i in mine] == alone.labels
        assert [both.positions[i] for i in mine] == list(range(len(alone.ids)))


def test_the_losses_are_the_sum_of_those_of_conversations_of_their_own() -> None:
    sample = scene()
    model = DeepseekVLV2ForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    network = PretrainingNetwork(model, Recipe("r", str(FOLDER), (STAGE,))).eval()

    def sums(one: PretrainingSample) -> list[float]:
        with torch.no_grad():
            found = network(collate([one], 0), STAGE).sums
        return [float(found[kind]) for kind in ("language", "guided_attention")]

    apart = [sums(encoded(dataclasses.replace(sample, turns=(turn,)))) for turn in sample.turns]
    torch.testing.assert_close(
        torch.tensor(sums(encoded(sample))), torch.tensor(apart).sum(0), rtol=2e-4, atol=1e-3
    )


def test_pointers_stay_within_their_branch_or_the_picture() -> None:
    for seed in range(6):
        one = encoded(scene(seed))
        assert one.attention_targets is not None
        assert one.branches is not None
        pairs = [(i, place) for i, place in enumerate(one.attention_targets) if place >= 0]
        assert pairs
        assert all(one.branches[place] in (0, one.branches[i]) for i, place in pairs)


def test_neighbours_in_a_step_are_of_one_kind_and_a_step_holds_several() -> None:
    need_all()
    processor = DeepseekVLV2Processor.from_pretrained(FOLDER)
    stage = dataclasses.replace(STAGE, mix={"scene": 0.5, "chat": 0.5}, micro_batches=4, steps=8)
    data = RenderedBatches(stage, 1, processor)
    pictures = [len(data[number].tiles) > 0 for number in range(32)]
    assert pictures[::2] == pictures[1::2]
    assert any(pictures[step] != pictures[step + 2] for step in range(0, 32, 4))


def test_rows_of_a_batch_are_of_like_length() -> None:
    need_all()
    processor = fresh_nano(1)[1]
    stage = dataclasses.replace(STAGE, mix={"clean-tile": 1.0}, tokens=6000, tiles=20)
    data = RenderedBatches(stage, 1, processor)
    filled = [float((data[n].ids != processor.pad_id).float().mean()) for n in range(4)]
    assert sum(filled) / 4 > 0.75
