"""Colours that the decoder is shown wrong."""

from __future__ import annotations

import random

import pytest

from deepseek_vl_v2 import DeepseekVLV2Processor
from dvl2_cli.store.places import nano_folder
from nano_lab.pretraining.input_corruption import corrupt_colours
from nano_lab.pretraining.recipe import PretrainingStage
from nano_lab.pretraining.rendered_batches import RenderedBatches
from nano_lab.rendering.catalogue import COLOURS
from nano_lab.rendering.sample import Mention, Turn
from tests.nano_lab.rendering.fonts_here import need_all


def turn(answer: str, *names: str) -> Turn:
    starts = [answer.index(name) for name in names]
    told = [Mention(s, s + len(n), 0.5, 0.5) for s, n in zip(starts, names, strict=True)]
    return Turn("What is there?", answer, "caption", tuple(told))


@pytest.mark.parametrize("seed", range(8))
def test_only_the_colour_of_what_is_told_changes(seed: int) -> None:
    told = turn("A blue umbrella on a grey background.", "A blue umbrella")
    wrong = corrupt_colours(told, 1.0, random.Random(seed))
    assert len(wrong) == len(told.answer)
    before, after = wrong.split("umbrella")
    assert before.strip() != "A blue"
    assert before.startswith("A ")
    assert after == " on a grey background."


def test_nothing_changes_without_a_share_or_without_mentions() -> None:
    told = turn("A blue umbrella.", "A blue umbrella")
    assert corrupt_colours(told, 0.0, random.Random(1)) == told.answer
    boxed = turn("<|ref|>a blue umbrella<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>")
    assert corrupt_colours(boxed, 1.0, random.Random(1)) == boxed.answer


def test_a_batch_is_taught_the_colours_that_are_there() -> None:
    need_all()
    folder = nano_folder()
    assert folder is not None
    processor = DeepseekVLV2Processor.from_pretrained(folder)
    stage = PretrainingStage(
        "s", 1e-3, steps=9, language_loss=1.0, input_corruption=1.0, mix={"scene": 1.0}, tiles=9
    )
    batch = RenderedBatches(stage, 1, processor)[0]
    learnt = batch.labels[:, 1:]
    shown = batch.ids[:, 1:]
    answered = learnt != -100
    # What is predicted for a place is also what stands there, but for the colours.
    changed = (learnt != shown) & answered
    assert 0 < int(changed.sum()) < 0.2 * int(answered.sum())
    right = processor.tokenizer.decode(learnt[answered])
    assert any(colour in right for colour in COLOURS)
