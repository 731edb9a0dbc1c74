"""The user's rows as micro-batches: what is learnt, and what is refused before training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.conversations import CheckedData, ConversationBatches, check_data
from dvl2_cli.finetuning.network import TrainingNetwork
from dvl2_cli.finetuning.recipe import Recipe, Stage
from tests import golden_data as golden


def _stage(packing: str) -> Stage:
    return Stage("s", 1e-3, steps=1, packing=packing, tiles=2, balance_loss=0.0)  # type: ignore[arg-type]


def _checked(data: Path, context: int = 4096) -> CheckedData:
    return check_data(data, golden.processor("mla"), context, lambda text: None)


def test_only_answers_are_learnt(data: Path) -> None:
    processor = golden.processor("mla")
    batch = ConversationBatches(_checked(data), _stage("pad"), 0, processor)[0]
    learnt = [
        processor.tokenizer.decode(row[labels != -100])
        for row, labels in zip(batch.ids, batch.labels, strict=True)
    ]
    end = "<｜end▁of▁sentence｜>"
    assert sorted(learnt) == sorted(
        [f"a red box{end}", f"<|ref|>a box<|/ref|><|det|>[[200, 250, 699, 749]]<|/det|>{end}"]
    )
    assert len(batch.tiles) == 2


def test_packed_rows_do_not_see_each_other(data: Path) -> None:
    """The losses of two conversations in one sequence, and of each in a row of its own."""
    import copy

    processor, checked = golden.processor("mla"), _checked(data)
    found = {}
    for packing in ("pad", "pack"):
        stage = _stage(packing)
        network = TrainingNetwork(
            copy.deepcopy(golden.model("mla")), Recipe("r", "x", (stage,))
        ).train()
        batch = ConversationBatches(checked, stage, 0, processor)[0]
        assert len(batch.ids) == (1 if packing == "pack" else 2)
        losses = network(batch, stage)
        losses.sums["language"].backward()
        weight = network.model.language.model.layers[0].self_attn.q_proj.weight
        found[packing] = (losses.sums["language"].detach(), weight.grad, batch.answer_tokens)
    (padded, gradient, tokens), (packed, other, packed_tokens) = found["pad"], found["pack"]
    assert tokens == packed_tokens
    assert torch.allclose(padded, packed, rtol=1e-5)
    assert torch.allclose(gradient, other, atol=1e-4)


def test_every_bad_row_is_named_and_nothing_else_happens(data: Path) -> None:
    long = {
        "messages": [
            {"role": "user", "content": "Count."},
            {"role": "assistant", "content": "one two three " * 500},
        ]
    }
    lines = [*data.read_text("utf-8").splitlines(), "{", json.dumps(long), '{"messages": []}']
    data.write_text("\n".join(lines), "utf-8")
    told: list[str] = []
    with pytest.raises(UsageError, match="3 of 5 rows") as refused:
        check_data(data, golden.processor("mla"), 900, told.append)
    assert refused.value.exit_code == 2
    assert [text.split(":")[0] for text in told] == [f"{data}, line {n}" for n in (3, 4, 5)]
    assert "room for 900" in told[1]


def test_lengths_are_known_without_opening_pictures(data: Path) -> None:
    checked = _checked(data)
    batch = ConversationBatches(checked, _stage("pack"), 0, golden.processor("mla"))[0]
    assert batch.packing_ids is not None
    lengths = [int((batch.packing_ids == segment).sum()) for segment in (1, 2)]
    assert sorted(lengths) == sorted(extent.tokens for extent in checked.extents)
    assert [extent.tiles for extent in checked.extents] == [1, 1]
