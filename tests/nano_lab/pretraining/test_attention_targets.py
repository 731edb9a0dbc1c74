"""Where answer tokens are to be read from, and what supervised heads learn."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from deepseek_vl_v2.rope import rotary_tables
from nano_lab.pretraining.attention_capture import AttentionCapture
from nano_lab.pretraining.attention_loss import (
    attention_loss,
    gathered,
    last_known,
    supervised_positions,
    targets_of,
)
from nano_lab.pretraining.attention_targets import character_spots, repeated
from nano_lab.pretraining.batch import PretrainingBatch
from nano_lab.pretraining.recipe import PretrainingStage
from nano_lab.pretraining.rendered_batches import RenderedBatches
from nano_lab.rendering.render import render
from nano_lab.rendering.sample import Mention, Sample, Turn
from tests.golden_data import ROOT
from tests.nano_lab.rendering.fonts_here import need_all

STAGE = PretrainingStage(
    name="read", steps=1, learning_rate=1e-3, guided_attention_loss=1.0, tiles=2
)


def scenes(count: int) -> list[Sample]:
    need_all()
    return [render("scene", seed, "test") for seed in range(count)]


def batches(kind: str) -> RenderedBatches:
    need_all()
    processor = DeepseekVLV2Processor.from_pretrained(ROOT / "checkpoints" / "mla")
    return RenderedBatches(dataclasses.replace(STAGE, mix={kind: 1.0}), 1, processor)


def test_what_an_answer_says_of_an_object_is_seen_within_its_box() -> None:
    for sample in scenes(6):
        assert sample.image is not None
        for turn in sample.turns:
            for mention in turn.mentions:
                said = turn.answer[mention.start : mention.end].lower()
                x, y = mention.x * sample.image.width, mention.y * sample.image.height
                under = [t for t in sample.objects if t.box[0] < x < t.box[2]]
                under = [t for t in under if t.box[1] < y < t.box[3]]
                names = " ".join(t.name for t in under)
                assert under
                if turn.task.startswith("caption"):
                    assert any(word in said for word in names.split()), (said, names)


def test_every_object_of_a_caption_is_mentioned() -> None:
    for sample in scenes(6):
        caption = next(turn for turn in sample.turns if turn.task == "caption")
        assert len(caption.mentions) == len(sample.objects)
        spots = character_spots(caption, (), (384, 384))
        mentioned = {at for m in caption.mentions for at in range(m.start, m.end)}
        assert {i for i, spot in enumerate(spots) if spot is not None} == mentioned


@pytest.mark.parametrize(
    ("question", "answer", "stretch"),
    [
        ("<|ref|>the car<|/ref|>.", "<|ref|>the car<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", (7, 14)),
        ("<|ref|>a dog<|/ref|>.", "There is no dog in this image.", (12, 15)),
        ("Repeat: to be", "to be", (0, 5)),
        ("Where is the car?", "left", None),
        ("How many cars are there?", "2", None),
        ("Two\nlines", "Two\nlines", None),
    ],
)
def test_what_is_repeated_from_the_question(
    question: str, answer: str, stretch: tuple[int, int] | None
) -> None:
    assert repeated(Turn(question, answer)) == stretch


def test_a_mention_and_a_box_have_their_own_spots() -> None:
    answer = "a cat <|ref|>x<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>"
    spots = character_spots(Turn("", answer, "", (Mention(0, 5, 0.25, 0.5),)), (), (200, 100))
    assert spots[:5] == [(50.0, 50.0)] * 5
    assert spots[5] is None
    assert spots[6] == (100.0, 50.0)


def test_pointers_at_the_question_point_at_the_same_token() -> None:
    data = batches("chat")
    pairs = []
    for number in range(20):
        batch = data[number]
        if batch.attention_targets is not None:
            for row, token in (batch.attention_targets >= 0).nonzero().tolist():
                place = int(batch.attention_targets[row, token])
                pairs.append((int(batch.ids[row, token]), int(batch.ids[row, place])))
                assert place < token
    assert len(pairs) > 20
    assert all(here == there for here, there in pairs)


def test_print_points_at_tokens_of_its_picture() -> None:
    data = batches("primer")
    batch = data[0]
    assert batch.attention_targets is not None
    known = batch.attention_targets >= 0
    image = data.processor.tokens.image
    assert int(known.sum()) > 50
    assert bool((batch.ids.gather(1, batch.attention_targets.clamp(min=0))[known] == image).all())


def test_a_token_without_a_place_has_that_of_the_one_before_it_in_the_same_answer() -> None:
    labels = torch.tensor([[-100, -100, 1, 1, 1, -100, 1, 1]])
    values = torch.tensor([[-1, -1, -1, 5, -1, -1, -1, 7]])
    latest = last_known(values, labels)
    assert gathered(values, latest).tolist() == [[-1, -1, -1, 5, 5, -1, -1, 7]]


def test_scores_are_what_the_attention_attends_with() -> None:
    folder = ROOT / "checkpoints" / "mla"
    model = DeepseekVLV2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = model.config.language
    attention = model.language.model.layers[1].self_attn
    hidden = torch.randn(1, 9, config.hidden_size, generator=torch.Generator().manual_seed(1))
    tables = rotary_tables(torch.arange(9)[None], attention.rope, config.rope_theta)
    capture = AttentionCapture(model, [1])
    capture.enabled = True
    attended = attention(hidden, tables, None, None)
    query, key = capture.take(1)
    scores = (query @ key.mT)[:, :2]
    past = torch.ones(9, 9, dtype=torch.bool).tril()
    weights = scores.masked_fill(~past, -torch.inf).softmax(-1)
    latent = attention.kv_a_proj_with_mqa(hidden)[..., : attention.rank]
    values = attention.kv_b_proj(attention.kv_a_layernorm(latent))[:, :2, :, attention.nope :]
    # Heads that were not scored add nothing.
    with torch.no_grad():
        attention.o_proj.weight[:, 2 * attention.value_dim :] = 0
    mixed = (weights @ values).transpose(1, 2).flatten(2)
    wanted = mixed @ attention.o_proj.weight[:, : 2 * attention.value_dim].T
    capture.enabled = False
    assert attended.shape == wanted.shape
    torch.testing.assert_close(attention(hidden, tables, None, None), wanted)
    with pytest.raises(KeyError):
        capture.take(1)


def naive_pointing(
    query: Tensor, key: Tensor, batch: PretrainingBatch, pointers: Tensor
) -> tuple[float, int]:
    """One token after the other: what it may see, where it should pair."""
    loss, hits = 0.0, 0
    assert batch.branches is not None
    for row, token in (pointers >= 0).nonzero().tolist():
        own = int(batch.branches[row, token])
        seen = [p for p in range(token + 1) if int(batch.branches[row, p]) in (0, own)]
        scores = torch.tensor([float(query[row, token] @ key[row, p]) for p in seen])
        wanted = [seen.index(int(pointers[row, token]))]
        loss += float(scores.logsumexp(0) - scores[wanted].logsumexp(0))
        hits += int(scores.argmax()) in wanted
    return loss, hits


def test_pointing_all_at_once_is_pointing_one_by_one() -> None:
    generator = torch.Generator().manual_seed(3)
    query, key = (torch.randn(2, 1, 12, 4, generator=generator) for _ in range(2))
    branches = torch.tensor([[0] * 6 + [1] * 3 + [2] * 3, [0] * 12])
    pointers = torch.full((2, 11), -1)
    for row, token, place in ((0, 7, 2), (0, 8, 6), (0, 10, 9), (1, 4, 4), (1, 9, 0)):
        pointers[row, token] = place
    ids = torch.zeros((2, 12), dtype=torch.long)
    none = torch.zeros(0, dtype=torch.long)
    batch = PretrainingBatch(none, none, ids, ids, ids, branches=branches)
    spoken = torch.arange(1, 12).expand(2, -1)
    targets = targets_of(batch, pointers, spoken, ids > 0)
    loss, hits = attention_loss(query, key, targets)
    wanted, right = naive_pointing(query[:, 0], key[:, 0], batch, pointers)
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    assert int(hits) == right


def test_of_many_pointing_tokens_some_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nano_lab.pretraining.attention_loss.MAX_SUPERVISED_TOKENS", 3)
    pointers = torch.tensor([[0, 0, -1, 0, 0, 0, 0, 0], [-1, 0, -1, -1, -1, -1, 0, -1]])
    assert supervised_positions(pointers).tolist() == [[0, 4, 7], [1, -1, -1]]


def test_the_decoder_is_shown_mistakes_but_not_taught_them() -> None:
    plain, noisy = batches("primer"), batches("primer")
    noisy.stage = dataclasses.replace(noisy.stage, token_corruption=0.1)
    shown, right = noisy[0], plain[0]
    # The first sample is the same, the others and so the padding are not.
    length = min(shown.ids.shape[1], right.ids.shape[1])
    other = shown.ids[0, :length] != right.ids[0, :length]
    learned = right.labels[0, :length] != -100
    assert bool((shown.labels[0, :length] == right.labels[0, :length]).all())
    assert not bool(other[~learned].any())
    assert 0.02 < float(other[learned].float().mean()) < 0.2
