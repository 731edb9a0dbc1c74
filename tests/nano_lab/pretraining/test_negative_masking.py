from __future__ import annotations

import dataclasses

import pytest
import torch

from deepseek_vl_v2 import DeepseekVLV2Processor
from dvl2_cli.store.places import nano_folder
from nano_lab.pretraining.heads import MASKED_LOGIT, ObjectCellHead, mask_colours, mask_names
from nano_lab.pretraining.negative_masking import held_out_pairs, other_letters
from nano_lab.pretraining.network import mask_excluded
from nano_lab.pretraining.object_head import ObjectHead
from nano_lab.pretraining.object_labels import (
    COLOUR_CLASSES,
    NAME_CLASSES,
    colour_class,
    name_class,
)
from nano_lab.pretraining.recipe import PretrainingStage
from nano_lab.pretraining.rendered_batches import RenderedBatches
from nano_lab.rendering.held_out import HELD_OUT_SHAPES, HELD_OUT_TINTS, is_held_out
from nano_lab.rendering.render import render
from nano_lab.rendering.sample import Mention, Turn
from tests.nano_lab.rendering.fonts_here import need_all

STAGE = PretrainingStage(
    name="open", steps=1, learning_rate=1e-3, tiles=6, mix={"names": 1.0}, negative_masking=True
)


def told(answer: str) -> Turn:
    return Turn("What is it?", answer, "what", (Mention(0, len(answer), 0.5, 0.5),))


@pytest.mark.parametrize(
    ("answer", "letters"),
    [
        # Never seen in orange: circles and butterflies.
        ("an orange oval", [(10, "b"), (10, "c")]),
        ("two orange crosses in the centre", [(4, "p"), (11, "b"), (12, "i")]),
        ("An orange car", [(1, " "), (10, "b"), (11, "i")]),
        ("a purple rectangle", [(9, "b"), (9, "c"), (9, "s")]),
        ("a grey oval", []),
        # And circles never in orange, whatever colour they have.
        ("A blue circle", [(1, "n"), (7, "s"), (7, "u")]),
        ("a large blue circle", [(8, "o"), (13, "s"), (13, "u")]),
        ("three pink squares", [(7, "u"), (11, "b"), (11, "c")]),
        # A colour without a name might be any.
        ("an oval", [(1, " "), (4, "r")]),
        ("a circle on the left", [(1, "n"), *((2, letter) for letter in "bgprwy")]),
        ("two butterflies", [*((4, letter) for letter in "goprwy"), (5, "l"), (5, "r")]),
        ("a dog", []),
    ],
)
def test_letters_that_would_begin_an_unseen_name(
    answer: str, letters: list[tuple[int, str]]
) -> None:
    assert list(other_letters(told(answer))) == letters


def test_without_mentions_nothing_is_left_out() -> None:
    assert not list(other_letters(Turn("?", "an orange oval")))


@pytest.mark.parametrize("kind", ["scene", "names"])
def test_no_letter_of_an_answer_is_left_out(kind: str) -> None:
    found = 0
    for seed in range(30):
        for turn in render(kind, seed, "train").turns:
            for char, letter in other_letters(turn):
                found += 1
                assert turn.answer[char] != letter
    assert found > 20


def test_the_classes_are_those_that_are_held_out() -> None:
    held_out = held_out_pairs()
    assert held_out.sum() == len(HELD_OUT_SHAPES | HELD_OUT_TINTS)
    for colour, name in ((s, n) for s in COLOUR_CLASSES for n in NAME_CLASSES):
        assert held_out[colour_class(colour), name_class(name)] == is_held_out(colour, name)


def test_an_unseen_name_is_neither_taught_nor_untaught() -> None:
    held_out = torch.from_numpy(held_out_pairs())
    orange, oval, circle = colour_class("orange"), name_class("oval"), name_class("circle")
    logits = torch.zeros(2, len(NAME_CLASSES), requires_grad=True)
    colours = torch.tensor([orange, colour_class("red")])
    opened = mask_names(logits, colours, held_out)
    torch.nn.functional.cross_entropy(opened, torch.tensor([oval, oval])).backward()
    assert logits.grad is not None
    assert logits.grad[0, circle] == 0
    assert logits.grad[1, circle] > 0
    assert mask_names(logits, colours, None) is logits


def test_a_colour_without_a_name_is_not_taught_to_be_none() -> None:
    held_out = torch.from_numpy(held_out_pairs())
    blue, square = colour_class("blue"), name_class("square")
    logits = torch.zeros(2, len(COLOUR_CLASSES), requires_grad=True)
    colours = torch.tensor([0, blue])
    opened = mask_colours(logits, torch.tensor([square, square]), colours, held_out)
    torch.nn.functional.cross_entropy(opened, colours, reduction="none").sum().backward()
    assert logits.grad is not None
    assert not logits.grad[0].any()
    assert logits.grad[1, colour_class("purple")] == 0
    assert logits.grad[1, colour_class("red")] > 0


@pytest.mark.parametrize("head", [ObjectCellHead(8), ObjectHead(8)])
def test_heads_leave_unseen_names_out(head: ObjectCellHead | ObjectHead) -> None:
    facts = torch.tensor([[name_class("oval"), colour_class("orange"), 0.1, 0.1, 0.2, 0.2]])
    states = torch.randn(1, 8)
    held_out = torch.from_numpy(held_out_pairs())

    def bias_of_circles(mask: torch.Tensor | None) -> float:
        head.zero_grad()
        loss = head.loss(states, facts, mask)
        (loss[0] if isinstance(loss, tuple) else loss).backward()
        assert head.names.bias.grad is not None
        return float(head.names.bias.grad[name_class("circle")])

    assert bias_of_circles(held_out) == 0
    assert bias_of_circles(None) > 0


def test_excluded_tokens_are_out_of_reach() -> None:
    logits = torch.zeros(2, 5, 7)
    excluded = torch.tensor([[0, 3, 6], [1, 1, 0]])
    changed = mask_excluded(logits, excluded)
    # The token at a position is told by the one before.
    assert changed[0, 2, 6] == changed[1, 0, 0] == MASKED_LOGIT
    assert (changed != 0).sum() == 2
    assert mask_excluded(logits, None) is logits


def test_micro_batches_name_the_tokens() -> None:
    need_all()
    folder = nano_folder()
    assert folder is not None
    processor = DeepseekVLV2Processor.from_pretrained(folder)
    batch = RenderedBatches(STAGE, 1, processor)[0]
    assert batch.excluded_tokens is not None
    assert batch.held_out_pairs is not None
    rows, positions, tokens = batch.excluded_tokens.unbind(-1)
    right = batch.labels[rows, positions]
    assert (right >= 0).all()
    assert (right != tokens).all()
    plain = RenderedBatches(dataclasses.replace(STAGE, negative_masking=False), 1, processor)[0]
    assert plain.excluded_tokens is plain.held_out_pairs is None
